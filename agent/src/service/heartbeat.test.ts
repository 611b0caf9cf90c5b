import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { type HostReport, hostAuthorities, reportDigest } from '#shared/host-api.ts';
import { JOURNAL_START, type JournalKept, journalHeads } from '#shared/journal-head.ts';
import { sampleRecord } from '#shared/testing/request-record.ts';
import { publicJwk, tokenType, verifyToken } from '#shared/token.ts';
import { type Host, journalHeadsOf, openHost } from '../app.ts';
import { createHeardAuthorities } from '../certificates/authorities.ts';
import { createJournalHeads } from '../journal/heads.ts';
import { systemClock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { createWaker } from '../platform/waker.ts';
import { createFakeServer, createServerKey, type FakeServer } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';
import { NO_GRANTS } from '../testing/no-grants.ts';
import { createPasskey } from '../testing/passkey.ts';
import { createDoctor } from './doctor.ts';
import { beat, type Health, type HeartbeatDeps, keepBeating } from './heartbeat.ts';
import { agentAnswers, listen, SocketError } from './socket-server.ts';

const EMPTY_REPORT: HostReport = { v: 1, grants: [], accounts: [], unread: 0, drift: [], cut: false };

async function world() {
  const server = await createFakeServer();
  const enrolled = await createEnrolledHost(server);
  const host = await openHost(enrolled.paths, { log: silentLog });
  const saved: Health[] = [];
  const errors: string[] = [];
  const deps: HeartbeatDeps = {
    client: host.client,
    keys: host.keys,
    grants: NO_GRANTS,
    authorities: createHeardAuthorities(),
    ownAuthorities: async () => null,
    checkpoints: host.checkpoints,
    trust: host.enrolment.trust,
    osInfo: 'Debian x64',
    report: async () => EMPTY_REPORT,
    doctor: createDoctor({ look: async () => [], clock: systemClock, log: silentLog }),
    journals: journalHeadsOf(host, silentLog),
    save: async (health) => void saved.push(health),
    clock: systemClock,
    log: { info: () => undefined, warn: () => undefined, error: (line) => errors.push(line) },
  };
  return {
    server,
    host,
    deps,
    saved,
    errors,
    state: enrolled.paths.state,
    async [Symbol.asyncDispose]() {
      host.close();
      await server.close();
      await enrolled.remove();
    },
  } satisfies AsyncDisposable & { server: FakeServer; host: Host } & Record<string, unknown>;
}

describe('heartbeat', () => {
  it('says who and how, and takes newer approver keys', async () => {
    await using w = await world();
    w.server.approverKeys = { version: 4, keys: [createPasskey(w.server.person).key] };
    w.server.clockAhead = 7000;
    const health = await beat(w.deps);
    assert.equal(health.result, 'ok');
    assert.equal(health.hostState, 'active');
    assert.ok(Math.abs(health.clockOffset! - 7000) < 2000);
    assert.equal(w.host.keys.current().version, 4);
    assert.deepEqual(w.saved, [health]);
    const body = w.server.calls.find(({ path }) => path === '/heartbeat')?.body;
    assert.equal(body?.osInfo, 'Debian x64');
    assert.equal(body?.approverKeysVersion, 1);
    assert.equal(body?.counter, 1);
    await beat(w.deps);
    assert.deepEqual(
      w.server.calls.map(({ body }) => body?.checkpointSeq).filter((seq) => seq !== undefined),
      [0, 10],
    );
  });

  it('names the authorities that the server asks about first, and no more than it takes', async () => {
    await using w = await world();
    // An operator who has the directory verified with all authorities of the system.
    const others = Array.from({ length: 140 }, (_, n) => sha256(`authority ${n}`));
    const [signing, next] = [sha256('signing'), sha256('next')];
    w.deps.ownAuthorities = async () => ({ issuer: signing, bundle: [...others, signing, next] });
    w.deps.authorities.hear([signing, next]);
    await beat(w.deps);
    const told = w.server.calls.find(({ path }) => path === '/heartbeat')?.body?.authorities;
    const { issuer, bundle } = hostAuthorities.parse(told);
    assert.equal(issuer, signing);
    assert.deepEqual(bundle.slice(0, 3), [signing, next, others[0]]);
  });

  it('an older set, or one by another key, changes nothing', async () => {
    await using w = await world();
    const removed = createPasskey(w.server.person);
    const mallory = await createServerKey();
    const genuine = w.server.keySet;
    w.server.approverKeys = { version: 9, keys: [] };
    w.server.keySet = (version, keys) => genuine(version, keys, mallory);
    assert.equal((await beat(w.deps)).approverKeysVersion, 1);
    w.server.keySet = () => genuine(0, [removed.key]);
    assert.equal((await beat(w.deps)).approverKeysVersion, 1);
  });

  it('a log that went back stops decisions, is written to the log, and heals when it has caught up', async () => {
    await using w = await world();
    await beat(w.deps);
    w.server.checkpoint = { seq: 9, hash: 'h9' };
    assert.equal((await beat(w.deps)).result, 'rolled_back');
    assert.ok(w.errors.some((line) => line.includes('rolled back')));
    assert.notEqual(w.host.checkpoints.current().contradiction, null);
    w.server.checkpoint = { seq: 11, hash: 'h11' };
    assert.equal((await beat(w.deps)).result, 'ok');
    assert.equal(w.host.checkpoints.current().contradiction, null);
  });

  it('a refusal and an outage are told apart and remembered', async () => {
    await using w = await world();
    w.server.intercept = ({ response }) => {
      w.server.refuse(response, 403, 'host_revoked', 'This host was revoked.');
      return true;
    };
    const refused = await beat(w.deps);
    assert.deepEqual([refused.result, refused.message], ['refused', 'This host was revoked.']);
    await w.server.close();
    assert.equal((await beat(w.deps)).result, 'unreachable');
  });

  it('a server that does not take what was found hears of this host without it', async () => {
    await using w = await world();
    const look = async () => [{ what: 'sssd', value: 'failed', problem: null }];
    const doctor = createDoctor({ look, clock: systemClock, log: silentLog });
    const told: boolean[] = [];
    const client: HeartbeatDeps['client'] = {
      ...w.deps.client,
      async heartbeat(facts) {
        told.push(facts.checks !== undefined);
        if (facts.checks !== undefined) return { kind: 'refused', status: 400, code: 'bad_request', message: 'no' };
        const reply = await w.deps.client.heartbeat(facts);
        return reply.kind === 'ok' ? { ...reply, value: { ...reply.value, takesChecks: true as const } } : reply;
      },
    };
    const deps = { ...w.deps, client, doctor };
    await beat(deps);
    await new Promise(setImmediate);
    assert.equal((await beat(deps)).result, 'refused');
    assert.equal((await beat(deps)).result, 'ok');
    assert.deepEqual(told, [false, true, false]);
  });

  describe('the heads of its journals', () => {
    const kept = (seq: number, problem: JournalKept['problem'] = null): JournalKept => ({
      ...JOURNAL_START,
      seq,
      problem,
    });
    const told = (w: Awaited<ReturnType<typeof world>>) =>
      w.server.calls.filter(({ path }) => path === '/heartbeat').map(({ body }) => body?.journals);

    it('go up signed by this host once the server takes them, and soon', async () => {
      await using w = await world();
      const { journals, identity, apiKey } = { ...w.deps, ...w.host.enrolment };
      await beat(w.deps);
      await beat(w.deps);
      assert.deepEqual([told(w), journals.areAwaited()], [[undefined, undefined], false], 'an earlier server');
      w.server.journals = { breakGlass: null, offlineGrants: null };
      await beat(w.deps);
      assert.equal(journals.areAwaited(), true);
      await w.host.journal.append('wrong', sampleRecord({ hostId: identity.hostId }));
      const before = Date.now();
      const health = await beat(w.deps);
      const read = await verifyToken(
        tokenType.journalHeads,
        String(told(w).at(-1)),
        [await publicJwk(apiKey.privateKey)],
        journalHeads,
      );
      assert.ok(read.ok, JSON.stringify(read));
      const { at, ...said } = read.payload;
      const [entry] = await w.host.journal.unreported();
      assert.deepEqual(said, {
        v: 1,
        iss: identity.hostId,
        aud: identity.serverId,
        journals: {
          breakGlass: { seq: 1, hash: entry!.hash, after: null },
          offlineGrants: { ...JOURNAL_START, after: null },
        },
      });
      assert.ok(at >= before);
      assert.deepEqual(health.journals, w.server.journals);
      w.server.journals = { breakGlass: kept(0), offlineGrants: kept(0) };
      await beat(w.deps);
      assert.equal(journals.areAwaited(), true, 'it has not taken the newest');
      w.server.journals = { breakGlass: { ...kept(1), hash: entry!.hash }, offlineGrants: kept(0) };
      await beat(w.deps);
      assert.equal(journals.areAwaited(), false);
    });

    it('that were dated before they were read, so that what is written meanwhile is not missing from them', async () => {
      await using w = await world();
      let now = 1000;
      const journals = createJournalHeads({
        journals: {
          breakGlass: {
            async position() {
              now += 1000;
              return { ...JOURNAL_START, after: null };
            },
          },
          offlineGrants: w.host.grantJournal,
        },
        enrolment: w.host.enrolment,
        clock: { now: () => now },
        log: silentLog,
      });
      journals.heard({ breakGlass: null, offlineGrants: null });
      const payload = String(await journals.said()).split('.')[1]!;
      assert.equal(JSON.parse(Buffer.from(payload, 'base64url').toString()).at, 1000);
    });

    it('say so where a journal cannot be read, and the rest goes on', async () => {
      await using w = await world();
      w.server.journals = { breakGlass: kept(3), offlineGrants: kept(0) };
      await beat(w.deps);
      await writeFile(join(w.state, 'break-glass.journal'), 'not json\n', { mode: 0o600 });
      assert.equal((await beat(w.deps)).result, 'ok');
      const payload = JSON.parse(Buffer.from(String(told(w).at(-1)).split('.')[1]!, 'base64url').toString());
      assert.equal(payload.journals.breakGlass, null);
      assert.equal(payload.journals.offlineGrants.seq, 0);
    });

    it('that were found to be others are written to the log of the machine', async () => {
      await using w = await world();
      w.server.journals = { breakGlass: kept(3, 'went_back'), offlineGrants: null };
      await beat(w.deps);
      assert.match(w.errors.join(), /the journal of uses of the break-glass password: the server has seen entries/);
    });

    it('are left out for a server that takes none after all', async () => {
      await using w = await world();
      w.server.journals = { breakGlass: null, offlineGrants: null };
      await beat(w.deps);
      w.server.intercept = ({ body, response }) => {
        if (body?.journals === undefined) return false;
        w.server.refuse(response, 400, 'bad_request', 'no');
        return true;
      };
      assert.equal((await beat(w.deps)).result, 'refused');
      assert.equal((await beat(w.deps)).result, 'ok');
    });
  });

  it('tells what gives power here when that is not what the server knows, and else says nothing', async () => {
    await using w = await world();
    const fleet = { type: 'group' as const, name: 'fleet', gives: 'any command', file: '/etc/sudoers', line: 3 };
    let report: HostReport = { ...EMPTY_REPORT, grants: [fleet] };
    let known: string | null = null;
    const told: HostReport[] = [];
    const client: HeartbeatDeps['client'] = {
      ...w.deps.client,
      async heartbeat(facts) {
        const reply = await w.deps.client.heartbeat(facts);
        return reply.kind === 'ok' ? { ...reply, value: { ...reply.value, reportDigest: known } } : reply;
      },
      async report(said) {
        told.push(said);
        known = reportDigest(said);
        return { kind: 'ok', value: null };
      },
    };
    const changes: string[] = [];
    const doctor = { ...w.deps.doctor, changed: () => void changes.push('changed') };
    const deps = { ...w.deps, client, doctor, report: async () => report };
    await beat(deps);
    await beat(deps);
    assert.deepEqual([told, changes.length], [[report], 1]);
    report = { ...EMPTY_REPORT, drift: ['/etc/sudo.conf lacks: Plugin identree_audit'] };
    await beat(deps);
    assert.deepEqual([told.at(-1), changes.length], [report, 2], 'the host is looked at anew');
    await beat({ ...w.deps, report: () => assert.fail('a server that keeps no reports is told none') });
  });

  it('goes on after a failure, and varies its pause', async () => {
    await using w = await world();
    const pauses: number[] = [];
    const stop = new AbortController();
    let beats = 0;
    const clock = {
      ...systemClock,
      sleep: async (ms: number) => {
        pauses.push(ms);
        if (pauses.length === 3) stop.abort();
      },
    };
    const save = async () => {
      beats += 1;
      if (beats === 1) throw new Error('disk full');
    };
    const randoms = [0, 0, 1];
    const waker = createWaker();
    await keepBeating({ ...w.deps, clock, save, waker, random: () => randoms.shift() ?? 0 }, stop.signal);
    assert.deepEqual(pauses, [30_000, 300_000, 360_000]);
  });

  it('beats at once when it is told by other ways that this host may not speak', async () => {
    await using w = await world();
    const stop = new AbortController();
    const waker = createWaker();
    const beating = keepBeating({ ...w.deps, waker, random: () => 0 }, stop.signal);
    const beats = () => w.server.calls.filter(({ path }) => path === '/heartbeat').length;
    while (w.saved.length === 0) await systemClock.sleep(5);
    assert.equal(beats(), 1);
    waker.wake();
    while (w.saved.length === 1) await systemClock.sleep(5);
    assert.equal(beats(), 2);
    stop.abort();
    await beating;
  });
});

describe('the socket', () => {
  const folder = () => mkdtemp(join(tmpdir(), 'identree-sock-'));
  const echo = async () => undefined;

  it('lives in a folder that only its owner can enter', async () => {
    const dir = await folder();
    const server = await listen(join(dir, 'run/agent.sock'), echo);
    assert.equal((await stat(join(dir, 'run'))).mode & 0o777, 0o700);
    assert.equal((await stat(join(dir, 'run/agent.sock'))).mode & 0o777, 0o600);
    assert.equal(await agentAnswers(join(dir, 'run/agent.sock')), true);
    await server.close();
    assert.equal(await agentAnswers(join(dir, 'run/agent.sock')), false);
    await rm(dir, { recursive: true });
  });

  it('a folder that others can enter is refused and left as it is', async () => {
    const dir = await folder();
    await mkdir(join(dir, 'shared'));
    await chmod(join(dir, 'shared'), 0o1777);
    await assert.rejects(listen(join(dir, 'shared/agent.sock'), echo), SocketError);
    assert.equal((await stat(join(dir, 'shared'))).mode & 0o7777, 0o1777);
    await rm(dir, { recursive: true });
  });

  it('a second agent does not take it from a living one', async () => {
    const dir = await folder();
    const path = join(dir, 'agent.sock');
    const server = await listen(path, echo);
    await assert.rejects(listen(path, echo), SocketError);
    assert.equal(await agentAnswers(path), true);
    await server.close();
    await rm(dir, { recursive: true });
  });

  it('what a dead agent left behind is taken over', async () => {
    const dir = await folder();
    await chmod(dir, 0o700);
    const path = join(dir, 'agent.sock');
    await writeFile(path, '');
    const server = await listen(path, echo);
    assert.equal(await agentAnswers(path), true);
    await server.close();
    await rm(dir, { recursive: true });
  });

  it('a link in place of its folder is refused', async () => {
    const dir = await folder();
    await symlink('/tmp', join(dir, 'run'));
    await assert.rejects(listen(join(dir, 'run/agent.sock'), echo), /must be a folder of the account/);
    await rm(dir, { recursive: true });
  });
});
