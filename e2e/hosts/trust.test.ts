import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openDatabase } from '../../server/src/db/database.ts';
import { rewriteLog } from '../../server/src/testing/rewrite-log.ts';
import { granted, pendingCode } from '../harness/person.ts';
import { until } from '../harness/run.ts';
import { agentReady, ask, eventsBecome, gate, mark, openWorld, skip, type World } from '../harness/world.ts';

const SECRET = randomBytes(32).toString('hex');

/** One after the other: policies and the state of hosts change under way. */
describe('policies, evidence and the standing of a host', () => {
  let world: World;
  before(async () => {
    if (skip) return;
    world = await openWorld({
      people: ['alice', 'olga'],
      env: { IDENTREE_SHARED_SECRET: SECRET },
      policy: [
        { name: 'robots', match_users: ['dave'], approval: 'none' },
        { name: 'light', match_users: ['bob'], approval: 'session' },
        { name: 'default', approval: 'passkey' },
      ],
    });
  });
  after(() => world?.close());

  test('policy `none`: runs without asking anybody, and leaves its event', { skip }, async () => {
    const file = mark();
    const before = world.server.data.lastSeq();
    const terminal = world.host().terminal('dave', ['sudo', 'touch', file]);
    assert.equal(await terminal.exit, 0, terminal.text());
    assert.equal(world.host().exists(file), true);
    assert.match(terminal.text(), /Approved by policy/);
    const row = await until('the outcome', () => {
      const found = world.server.data.challenges().find(({ record }) => record.includes(file));
      return found?.outcome === 'granted' && found;
    });
    assert.equal(row.class, 'policy');
    const events = world.server.data.events({ after: before }).filter(({ challengeId }) => challengeId === row.id);
    assert.deepEqual(
      events.map(({ event }) => event),
      ['auto_approved', 'challenge_outcome'],
    );
  });

  test('policy `session`: a signed-in approver is enough; where the host wants a passkey, it is not', {
    skip,
  }, async () => {
    const host = world.host();
    const olga = world.person('olga');
    const approve = async (code: string): Promise<void> => {
      const { view, passkey } = await olga.open(code);
      assert.equal(passkey, null);
      granted(
        await olga.mutate('challenges.approve', { challengeId: view.id, assertion: null, confirmTruncated: false }),
      );
    };
    const file = mark();
    const request = await ask(world, host, 'bob', ['sudo', 'touch', file]);
    await approve(request.code);
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
    assert.equal(host.exists(file), true);
    assert.equal(request.row().class, 'session');

    const conf = await host.read('/etc/identree/client.conf');
    await host.write('/etc/identree/client.conf', `${conf}IDENTREE_MINIMUM_CLASS=passkey\n`, 0o600);
    await host.sh('systemctl restart identree-agent');
    await agentReady(host);
    const other = mark();
    const weak = await ask(world, host, 'bob', ['sudo', 'touch', other]);
    await approve(weak.code);
    assert.equal(await weak.terminal.exit, 1);
    assert.match(weak.terminal.text(), /stronger kind of approval: a passkey/);
    assert.equal(host.exists(other), false);
    await eventsBecome(weak, ['challenge_created', 'challenge_approved', 'challenge_outcome']);
    assert.equal(weak.row().outcome, 'refused');
    await host.write('/etc/identree/client.conf', conf, 0o600);
    await host.sh('systemctl restart identree-agent');
    await agentReady(host);
  });

  test('a policy that cannot be read: nothing is decided, and the words say so', { skip }, async () => {
    const host = world.host();
    const file = mark();
    await world.server.setPolicy([{ name: 'default', approval: 'perhaps' as never }]);
    const terminal = host.terminal('alice', ['sudo', 'touch', file]);
    assert.equal(await terminal.exit, 1);
    assert.match(terminal.text(), /policy cannot be read/);
    assert.equal(host.exists(file), false);
    await world.server.setPolicy([{ name: 'default', approval: 'passkey' }]);
  });

  test('the evidence of an approval is checked offline, on the host and anywhere', { skip }, async () => {
    const host = world.host();
    const request = await ask(world, host, 'alice', ['sudo', 'true']);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0);
    const exported = await world.server.cli(['export-approval', request.row().id]);
    assert.equal(exported.code, 0, exported.stderr);
    await host.write('/root/approval.json', exported.stdout, 0o600);
    const good = await host.exec(['identree', 'verify-approval', '/root/approval.json']);
    assert.equal(good.code, 0, good.stdout + good.stderr);
    assert.match(good.stdout, /VALID: approved, class passkey/);
    assert.match(good.stdout, /alice/);
    await host.write('/root/altered.json', exported.stdout.replace('"true"', '"false"'), 0o600);
    const altered = await host.exec(['identree', 'verify-approval', '/root/altered.json']);
    assert.notEqual(altered.code, 0);
    assert.match(altered.stdout, /NOT VALID/);
    const chain = await world.server.cli(['verify-log']);
    assert.equal(chain.code, 0, chain.stdout + chain.stderr);
  });

  test('nine sudos at once: nine requests, and the host stays trusted', { skip }, async () => {
    const host = world.host();
    const file = mark();
    const terminals = Array.from({ length: 9 }, (_, i) => host.terminal('alice', ['sudo', 'touch', `${file}-${i}-`]));
    const codes = await Promise.all(terminals.map((_, i) => pendingCode(world.server, 'alice', `${file}-${i}-`)));
    assert.equal(new Set(codes).size, 9);
    await Promise.all(codes.map(async (code) => granted(await world.person('alice').approve(code))));
    for (const [i, terminal] of terminals.entries()) {
      assert.equal(await terminal.exit, 0, terminal.text());
      assert.equal(host.exists(`${file}-${i}-`), true);
    }
    assert.equal(world.server.data.host('web1.example.com')?.state, 'active');
  });

  test('enrolled with the shared secret: the host waits until an operator has compared its key', { skip }, async () => {
    const host = await world.lab.up('shared');
    await host.write('/etc/identree/client.conf', `IDENTREE_SERVER_URL=${world.server.url}\n`, 0o600);
    await host.write('/root/secret', `${SECRET}\n`, 0o600);
    const enrolled = await host.exec([
      'identree',
      'enroll',
      '--secret-file',
      '/root/secret',
      '--hostname',
      'shared.example.com',
    ]);
    assert.equal(enrolled.code, 0, enrolled.stdout + enrolled.stderr);
    assert.match(enrolled.stdout, /waits/);
    await host.sh('systemctl restart identree-agent');
    await agentReady(host);
    const early = await host.exec(['identree', 'setup', '--pam', 'sudo']);
    assert.notEqual(early.code, 0, 'sudo does not come to depend on a host that nobody vouched for');
    const row = world.server.data.host('shared.example.com');
    assert.equal(row?.state, 'waiting');
    const olga = world.person('olga');
    const wrong = await olga.mutate('hosts.confirm', { hostId: row?.id, fingerprint: 'A'.repeat(43) });
    assert.equal(wrong.ok, false);
    granted(await olga.mutate('hosts.confirm', { hostId: row?.id, fingerprint: row?.api_key_thumbprint }));
    await host.sh('systemctl stop identree-agent; rm -f /var/lib/identree/health.json; systemctl start identree-agent');
    await agentReady(host);
    await gate(host, 'sudo');
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0);
    assert.equal(host.exists(file), true);

    granted(await olga.mutate('hosts.revoke', { hostId: row?.id }));
    const last = mark();
    const revoked = host.terminal('alice', ['sudo', 'touch', last]);
    assert.equal(await revoked.exit, 1);
    assert.match(revoked.text(), /revoked/);
    assert.equal(host.exists(last), false);
  });

  /** Where the agent of a host stands with the event log, from its own file. */
  const checkpoint = async (): Promise<{ seq: number; contradiction: { kind: string } | null }> =>
    JSON.parse(await world.host().read('/var/lib/identree/checkpoint.json'));

  /** The host learns of the head of the log with a report of its agent. */
  async function report(what: string, settled: (state: Awaited<ReturnType<typeof checkpoint>>) => boolean) {
    await world.host().sh('systemctl restart identree-agent');
    await until(what, async () => settled(await checkpoint()));
    await agentReady(world.host());
  }

  async function refusedSudo(words: RegExp): Promise<void> {
    const file = mark();
    const terminal = world.host().terminal('alice', ['sudo', 'touch', file]);
    assert.equal(await terminal.exit, 1);
    assert.match(terminal.text(), words);
    assert.equal(world.host().exists(file), false);
  }

  async function approvedSudo(): Promise<void> {
    const request = await ask(world, world.host(), 'alice', ['sudo', 'true']);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
  }

  /** What an operator carries from the host to the server: what was signed before. */
  async function keptHead(): Promise<string> {
    const status = await world.host().exec(['identree', 'status', '--json']);
    const file = join(world.lab.dir, 'kept-head.json');
    await writeFile(file, status.stdout);
    return file;
  }

  /** Asked of the server: who reads the files of its database by itself does not notice that they were exchanged. */
  const lastSeq = async (): Promise<number> =>
    JSON.parse((await world.server.cli(['verify-log', '--json'])).stdout).head.seq;

  /** The files of the database, at rest. */
  async function databaseFiles(): Promise<{ folder: string; names: string[] }> {
    const folder = dirname(world.server.databaseFile);
    return { folder, names: (await readdir(folder)).filter((name) => name.startsWith('identree.db')) };
  }

  test('history that was rewritten, with a chain that is right again: the host refuses, and its head convicts', {
    skip,
  }, async () => {
    const { server } = world;
    await approvedSudo();
    const seen = server.data.lastSeq();
    await report('the host to see the head', ({ seq }) => seq >= seen);
    const head = await keptHead();
    const truth = await server.cli(['verify-log', '--head', head]);
    assert.equal(truth.code, 0, truth.stdout + truth.stderr);

    await server.stop();
    const { folder, names } = await databaseFiles();
    const copy = join(world.lab.dir, 'true-database');
    await mkdir(copy);
    for (const name of names) await cp(join(folder, name), join(copy, name));
    const db = await openDatabase({ driver: 'sqlite', dsn: server.databaseFile });
    await db.transaction((work) => rewriteLog(work, 3, { reason: 'nothing to see here' }));
    await db.close();
    await server.start();
    assert.ok(server.data.lastSeq() > seen, 'the log is longer than what the host has seen');

    await report('the host to notice', ({ contradiction }) => contradiction !== null);
    assert.equal((await checkpoint()).contradiction?.kind, 'forked');
    await refusedSudo(/not the one that this host has seen/);
    const alone = await server.cli(['verify-log']);
    assert.equal(alone.code, 0, 'the chain alone does not tell');
    const convicted = await server.cli(['verify-log', '--head', head]);
    assert.equal(convicted.code, 1);
    assert.match(convicted.stdout, /does not contain the head signed at event/);
    await report('the host to say so', () => server.data.events({ event: 'host_log_contradicted' }).length === 1);

    await server.stop();
    for (const name of names) await cp(join(copy, name), join(folder, name));
    await server.start();
    await report('the host to see its own log again', ({ contradiction }) => contradiction === null);
    await approvedSudo();
  });

  test('a backup that was put back: refused while it is shorter, refused when it has outgrown, until an operator answers for it', {
    skip,
  }, async () => {
    const { server } = world;
    await server.stop();
    const { folder, names } = await databaseFiles();
    const copy = join(world.lab.dir, 'old-database');
    await mkdir(copy);
    for (const name of names) await cp(join(folder, name), join(copy, name));
    await server.start();
    await approvedSudo();
    const seen = await lastSeq();
    await report('the host to see the head', ({ seq }) => seq >= seen);

    await server.stop();
    for (const name of names) await cp(join(copy, name), join(folder, name));
    await server.start();
    await report('the host to notice', ({ contradiction }) => contradiction?.kind === 'rolled_back');
    await refusedSudo(/forgotten events/);
    const status = await world.host().exec(['identree', 'status']);
    assert.match(status.stdout, /identree-server restore accept/);

    // Nobody is asked meanwhile: it grows by what administrators and programs do.
    const missing = seen + 1 - (await lastSeq());
    for (let i = 0; i < missing; i++) {
      assert.equal((await server.cli(['hosts', 'token', `later${i}.example.com`])).code, 0);
    }
    assert.ok((await lastSeq()) > seen);
    await report('the host to see that it is another log', ({ contradiction }) => contradiction?.kind === 'forked');
    await refusedSudo(/not the one that this host has seen/);

    const accepted = await server.cli(['restore', 'accept', '--operator', 'olga', '--reason', 'the disk died']);
    assert.equal(accepted.code, 0, accepted.stderr);
    await report('the host to go on', ({ contradiction }) => contradiction === null);
    await approvedSudo();
    const after = await world.host().exec(['identree', 'status']);
    assert.match(after.stdout, /put back to \d+ by olga \(the disk died\)/);
  });
});
