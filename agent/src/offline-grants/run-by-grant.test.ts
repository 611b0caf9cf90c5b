import assert from 'node:assert/strict';
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { type GrantEntry, type GrantsInForce, grantShape } from '#shared/offline-grant.ts';
import { signToken, tokenType } from '#shared/token.ts';
import { openHost } from '../app.ts';
import { systemClock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { connectPlugin, type PluginLists, SUDO_ID } from '../testing/fake-plugin.ts';
import type { FakeChallenge } from '../testing/fake-server.ts';
import { createTestGate, TEST_BUILD, type TestGate } from '../testing/test-gate.ts';
import { tellUses } from './tell-uses.ts';

const POLICY = sha256('policy');

/** A server that approves by policy with a grant, and keeps what it is told of its use. */
async function gateWithGrants(uses = 100, program?: string, more: Partial<PluginLists> = {}) {
  const gate = await createTestGate();
  const told: GrantEntry[] = [];
  const inForce: GrantsInForce = { revokedTo: 0, policyVersion: POLICY, runs: true };
  const { server } = gate;
  let asked = 0;
  /** What the server says to the next entry instead of taking it. */
  const refusals: { status: number; code: string }[] = [];
  server.intercept = async ({ method, path, body, response }) => {
    const send = (status: number, value: object) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
      return true;
    };
    if (path.startsWith('/offline-grants')) {
      const refusal = method === 'POST' && refusals.shift();
      if (refusal) return send(refusal.status, { error: { code: refusal.code, message: 'no' } });
      if (method === 'POST') told.push(body as unknown as GrantEntry);
      return send(200, inForce);
    }
    if (method !== 'POST' || path !== '/challenges') return false;
    asked += 1;
    const record = body!.record as FakeChallenge['record'];
    const challenge = { id: 'a'.repeat(32), record } as FakeChallenge;
    const verdict = await server.verdict(challenge, (v) => ({ ...v, class: 'policy', approvers: [], evidence: [] }));
    const shape = grantShape(record);
    const iat = Math.floor(Date.now() / 1000);
    const payload = {
      ...{ v: 1, iss: server.serverId, aud: record.hostId, iat, exp: iat + 3600, challengeId: challenge.id },
      ...{ nonce: record.nonce, user: record.user, shape, policyVersion: POLICY, rule: 'r', sequence: 100, uses },
    };
    return send(201, {
      challengeId: challenge.id,
      userCode: 'ABCDEF-123456',
      status: 'approved',
      approvalUrl: 'x',
      expiresAt: Date.now() + 60_000,
      now: Date.now(),
      approvers: [],
      verdict,
      approverKeys: null,
      offlineGrant: shape === null ? null : await signToken(tokenType.offlineGrant, payload, server.verdictKey),
      grants: inForce,
    });
  };
  const lists: PluginLists = {
    ...SUDO_ID,
    ...(program ? { commandInfo: [`command=${program}`, 'runas_uid=0', 'runas_user=root'] } : {}),
    ...more,
  };
  const hello = {
    ...{ v: 1, mode: 'sudo-check', build: TEST_BUILD, api: '1.21', fg: 1, intercepted: 0 },
    ...{ pid: gate.parent.pid, pstart: gate.parent.startTime },
  };
  const connect = (token?: Buffer) => connectPlugin(gate.socket, hello, { ...lists, ...(token ? { token } : {}) });
  /** What sudo did with a command, as its plugin says it when it closes. */
  const report = (token: Buffer, event: 'started' | 'ended', status = 0) => {
    const fields = { ...hello, mode: 'sudo-report', event, status_type: event === 'ended' ? 1 : 0, status, ms: 7 };
    return connectPlugin(gate.socket, fields, { token }).result;
  };
  /** One sudo that uses its verdict at once. */
  async function sudo() {
    const plugin = connect();
    void plugin.asked.then(plugin.ready);
    return plugin.result;
  }
  const tell = () =>
    tellUses({
      client: gate.host.client,
      journal: gate.host.grantJournal,
      grants: gate.host.grants,
      hostId: gate.host.enrolment.identity.hostId,
      clock: systemClock,
      log: silentLog,
    });
  const journal = join(gate.state, 'offline-grants.journal');
  const written = async (n: number): Promise<GrantEntry[]> => {
    for (;;) {
      const entries = await gate.host.grantJournal.unreported();
      if (entries.length >= n) return entries;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  return {
    ...{ gate, told, refusals, inForce, sudo, connect, report, tell, journal, written },
    asked: () => asked,
    [Symbol.asyncDispose]: () => (gate as TestGate)[Symbol.asyncDispose](),
  };
}

describe('a command that runs by an offline grant', { timeout: 120_000, concurrency: 4 }, () => {
  it('asks nobody, is written down first, and is told when the server can be reached', async () => {
    await using w = await gateWithGrants();
    assert.equal((await w.sudo()).granted, true);
    await w.gate.server.close();
    const plugin = w.connect();
    await plugin.asked;
    const [use] = await w.written(1);
    assert.equal(use?.kind, 'use', 'before the plugin has its verdict');
    assert.equal(plugin.granted(), null);
    plugin.ready();
    const result = await plugin.result;
    assert.equal(result.granted, true);
    assert.match(result.text, /grant/);
    const [, end] = await w.written(2);
    assert.deepEqual(
      end?.kind === 'end' && use?.kind === 'use' && [end.nonce === use.record.nonce, end.outcome, end.detail],
      [true, 'granted', null],
    );
    assert.equal(end!.prevHash, use!.hash);
    assert.equal(w.asked(), 1);
  });

  it('each use and its end are told once, in their order, and what is in force is heard with it', async () => {
    await using w = await gateWithGrants();
    for (let i = 0; i < 3; i += 1) assert.equal((await w.sudo()).granted, true);
    assert.equal(w.asked(), 1);
    await w.written(4);
    for (let i = 0; i < 2; i += 1) await w.tell();
    assert.deepEqual(
      w.told.map(({ hash }) => hash),
      (await w.gate.host.grantJournal.entries()).map(({ hash }) => hash),
    );
    assert.equal(w.told.length, 4);
    w.inForce.revokedTo = 100;
    await w.tell();
    assert.equal((await w.sudo()).granted, true);
    assert.equal(w.asked(), 2, 'the one that was revoked is asked about again');
  });

  it('an entry that the server never takes does not keep those after it; one that it may take later waits', async () => {
    await using w = await gateWithGrants();
    for (let i = 0; i < 3; i += 1) assert.equal((await w.sudo()).granted, true);
    const [use, end, ...later] = await w.written(4);
    w.refusals.push({ status: 403, code: 'host_quarantined' });
    await w.tell();
    assert.deepEqual([w.told.length, (await w.gate.host.grantJournal.unreported()).length], [0, 4]);
    w.refusals.push({ status: 400, code: 'bad_request' }, { status: 413, code: 'body_too_large' });
    await w.tell();
    assert.deepEqual(
      w.told.map(({ hash }) => hash),
      later.map(({ hash }) => hash),
    );
    assert.deepEqual([later[0]?.prevHash, end?.prevHash], [end?.hash, use?.hash], 'the server sees what it misses');
  });

  it('what a server would not take, because it is too much, is asked about: nobody chooses not to be heard of', async () => {
    await using folder = await createTestGate();
    const quotes = '"'.repeat(4);
    const program = join(folder.dir, '"'.repeat(250));
    await writeFile(program, 'one', { mode: 0o755 });
    await using w = await gateWithGrants(100, program, {
      commandInfo: [`command=${program}`, `cwd=${`/${'"'.repeat(250)}`.repeat(16)}`, 'runas_uid=0', 'runas_user=root'],
      argv: Array.from({ length: 1024 }, () => quotes),
      environment: [...SUDO_ID.environment, ...Array.from({ length: 1020 }, () => `${quotes}=`)],
    });
    for (let i = 1; i <= 2; i += 1) {
      assert.equal((await w.sudo()).granted, true);
      assert.equal(w.asked(), i);
    }
    assert.equal(w.gate.host.grants.any(), true, 'it is not for want of a grant');
    assert.deepEqual(await w.gate.host.grantJournal.entries(), []);
  });

  it('what became of it is not told of an earlier request that the plugin still had a token of', async () => {
    await using w = await gateWithGrants();
    await w.sudo();
    const plugin = w.connect(Buffer.from('{"v":1}'));
    assert.equal((await plugin.token).length, 0, 'before anything else is said');
    void plugin.asked.then(plugin.ready);
    assert.equal((await plugin.result).granted, true);
    assert.equal(w.asked(), 1);
  });

  it('what sudo did with it is written down in its order, after the use and its end, and told with them', async () => {
    await using w = await gateWithGrants();
    await w.sudo();
    const plugin = w.connect();
    void plugin.asked.then(plugin.ready);
    assert.equal((await plugin.result).granted, true);
    const token = await plugin.token;
    for (const event of ['started', 'ended'] as const)
      assert.equal((await w.report(token, event, 3 << 8)).granted, true, event);
    const entries = await w.written(4);
    const nonce = entries[0]?.kind === 'use' ? entries[0].record.nonce : null;
    assert.deepEqual(
      entries.slice(1).map((entry) => entry.kind !== 'use' && [entry.kind, entry.nonce === nonce]),
      [
        ['end', true],
        ['run', true],
        ['run', true],
      ],
    );
    assert.deepEqual(
      entries.flatMap((entry) => (entry.kind === 'run' ? [entry.run] : [])),
      [{ state: 'started' }, { state: 'ended', exitStatus: 3, signal: null, durationMs: 7 }],
    );
    assert.equal(w.gate.server.calls.filter(({ path }) => path.endsWith('/run')).length, 0, 'of no request');
    await w.tell();
    assert.deepEqual(
      w.told.map(({ hash }) => hash),
      entries.map(({ hash }) => hash),
    );
  });

  it('a server that does not take what sudo did is not told: the use and its end are taken still', async () => {
    await using w = await gateWithGrants();
    delete w.inForce.runs;
    await w.sudo();
    const plugin = w.connect();
    void plugin.asked.then(plugin.ready);
    assert.equal((await plugin.result).granted, true);
    assert.equal((await plugin.token).length, 0, 'the plugin has nothing to report by');
  });

  it('two sudos at once are two uses', async () => {
    await using w = await gateWithGrants(2);
    await w.sudo();
    const results = await Promise.all([w.sudo(), w.sudo(), w.sudo()]);
    assert.deepEqual(
      results.map(({ granted }) => granted),
      [true, true, true],
    );
    assert.equal(w.asked(), 2, 'the third had to ask');
  });

  for (const [name, harm] of [
    ['is damaged', (journal) => appendFile(journal, 'not json\n', { mode: 0o600 })],
    ['cannot be written', (journal) => mkdir(journal)],
    ['is full', (journal) => writeFile(journal, `${'x'.repeat(9 * 1024 * 1024)}\n`, { mode: 0o600 })],
  ] as const satisfies readonly (readonly [string, (journal: string) => Promise<unknown>])[])
    it(`while the journal ${name} the server is asked as always`, async () => {
      await using w = await gateWithGrants();
      await w.sudo();
      await harm(w.journal);
      assert.equal((await w.sudo()).granted, true);
      assert.equal(w.asked(), 2);
      await rm(w.journal, { recursive: true });
    });

  it('a program that changed after it was looked at is not released, and that is written down', async () => {
    const folder = await createTestGate();
    const program = join(folder.dir, 'tool');
    await writeFile(program, 'one', { mode: 0o755 });
    await using w = await gateWithGrants(100, program);
    assert.equal((await w.sudo()).granted, true);
    const plugin = w.connect();
    await plugin.asked;
    await writeFile(program, 'two');
    plugin.ready();
    assert.equal((await plugin.result).granted, false);
    const [, end] = await w.written(2);
    assert.deepEqual(end?.kind === 'end' && [end.outcome, end.detail], ['refused', 'target_changed']);
    await folder[Symbol.asyncDispose]();
  });

  it('a plugin that goes before it has its verdict released nothing, and that is written down', async () => {
    await using w = await gateWithGrants();
    await w.sudo();
    const plugin = w.connect();
    await plugin.asked;
    plugin.hangUp();
    const [, end] = await w.written(2);
    assert.deepEqual(end?.kind === 'end' && [end.outcome, end.detail], ['refused', 'gone']);
  });

  it('nothing runs by a grant while the log of the server contradicts what this host has seen', async () => {
    await using w = await gateWithGrants();
    await w.sudo();
    const { checkpoints } = w.gate.host;
    const contradiction = { kind: 'rolled_back', seq: 1, at: 1 } as const;
    await checkpoints.keep({ ...checkpoints.current(), contradiction });
    assert.equal((await w.sudo()).granted, false);
    assert.deepEqual(await w.gate.host.grantJournal.entries(), []);
  });

  it('another agent with the same state folder, as after a restart, a reboot or from a backup, has none', async () => {
    await using w = await gateWithGrants();
    await w.sudo();
    assert.equal(w.gate.host.grants.any(), true);
    const { dir, state, socket } = w.gate;
    const again = await openHost({ config: join(dir, 'client.conf'), state, socket }, { log: silentLog });
    assert.equal(again.grants.any(), false);
    again.close();
  });
});
