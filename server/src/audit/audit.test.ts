import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { Approval } from '../challenges/showing.ts';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import type { DatabaseTrouble } from '../db/trouble.ts';
import { createLogger } from '../platform/logger.ts';
import { announcePolicy } from '../policies/announce.ts';
import { createPolicyFile } from '../policies/source.ts';
import { readPolicyInForce } from '../policies/store.ts';
import { runOn } from '../testing/run-command.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';
import { putDeadLetters } from './dead-letter-store.ts';
import type { SinkStatus } from './status.ts';
import { until } from './testing/audit-kit.ts';
import { breakEvents, emptyDisk, fillDisk, mendEvents } from './testing/break-events.ts';
import { httpReceiver } from './testing/http-receiver.ts';

describe('a server with a file for its events', () => {
  let folder: string;
  let t: TestApp;
  let olga: TestPerson;
  let alice: TestPerson;
  const provider = createTestProvider();
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'identree-audit-'));
    t = await createTestApp({ app: { provider }, env: { IDENTREE_AUDIT_LOG: `file:${folder}/log/audit.jsonl` } });
    olga = await signInTestPerson(t.app, provider, t.clock, 'olga', { groups: ['admins'], passkey: false });
    alice = await signInTestPerson(t.app, provider, t.clock, 'alice');
  });
  after(async () => {
    await t.close();
    await rm(folder, { recursive: true, force: true });
  });

  const metrics = async (): Promise<Map<string, string>> => {
    const { body } = await t.app.http.inject('/metrics');
    const lines = body.split('\n').filter((line) => line.startsWith('identree_audit_'));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), line.split(' ').at(-1)!]));
  };
  const lines = async () => {
    const text = await readFile(join(folder, 'log', 'audit.jsonl'), 'utf8').catch(() => '');
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]));
  };

  test('[A-08] what is documented of its metrics is there from the first scrape', async () => {
    const first = await metrics();
    assert.equal(first.get('identree_audit_events_total{sink="_channel",status="dropped"}'), '0');
    for (const status of ['emitted', 'failed', 'dead_lettered'])
      assert.equal(first.get(`identree_audit_events_total{sink="jsonlog",status="${status}"}`), '0');
  });

  test('[A-09] every event is in the file, counted once it is there, and said of the sink', async () => {
    await t.app.start();
    const host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    const { challengeId } = await host.create();
    await host.send('DELETE', `/challenges/${challengeId}`);
    const { seq } = await t.app.events.head();
    await until(async () => (await lines()).length === seq);
    const found = await lines();
    assert.deepEqual(
      found.map((line) => line.seq),
      found.map((_, index) => index + 1),
    );
    const [asked, cancelled] = found.slice(-2);
    assert.deepEqual(
      [asked?.event, asked?.hostname, asked?.request_id],
      ['challenge_created', 'web1.example.com', challengeId],
    );
    assert.equal(cancelled?.event, 'challenge_cancelled');
    const emitted = 'identree_audit_events_total{sink="jsonlog",status="emitted"}';
    await until(async () => Number((await metrics()).get(emitted)) === seq);
    // What is known of a sink is told for a second.
    const delivered = 'identree_audit_sink_last_success_timestamp_seconds{sink="jsonlog"}';
    await until(async () => {
      const now = await metrics();
      return now.get('identree_audit_sink_lag_events{sink="jsonlog"}') === '0' && Number(now.get(delivered)) > 1e9;
    });
    assert.equal((await metrics()).get('identree_audit_events_total{sink="_channel",status="dropped"}'), '0');
  });

  test('[A-06] how it fares is for administrators; whether it is well is in the health report', async () => {
    const { data } = await olga.query<object[]>('audit.sinks.list');
    const sink = { name: 'jsonlog', state: 'ok', behind: 0, deadLetters: 0, lastError: null };
    assert.partialDeepStrictEqual(data, [sink]);
    const overRest = await t.app.http.inject({
      url: '/api/v1/audit/sinks',
      headers: { cookie: olga.cookie, 'sec-fetch-site': 'same-origin' },
    });
    assert.partialDeepStrictEqual(overRest.json(), [sink]);
    assert.equal((await alice.query('audit.sinks.list')).refusal, 'forbidden');
    const { checks, details } = await t.app.health();
    assert.deepEqual([checks.audit_sinks, details?.audit_sinks], ['ok', 'jsonlog ok, 0 to deliver']);
  });

  test('[A-06] [A-09] a file that cannot be written degrades the server, is counted and told, and says no path to strangers', async () => {
    const log = createLogger('error', { write: () => {} });
    const bad = await createTestApp({ app: { log, provider }, env: { IDENTREE_AUDIT_LOG: '/dev/null/audit.jsonl' } });
    try {
      const admin = await signInTestPerson(bad.app, provider, bad.clock, 'olga', {
        groups: ['admins'],
        passkey: false,
      });
      await bad.app.start();
      await until(async () => (await bad.app.health()).checks.audit_sinks === 'failing: jsonlog');
      const report = await bad.app.health();
      assert.equal(report.status, 'degraded');
      assert.equal(report.checks.event_readers, 'ok');
      assert.ok(!JSON.stringify(report).includes('/dev/null'));
      const { data } = await admin.query<SinkStatus[]>('audit.sinks.list');
      const [told] = data;
      assert.match(told!.lastError!, /\/dev\/null/);
      assert.partialDeepStrictEqual(told, { state: 'failing', seq: 0, lastSuccessAt: null });
      assert.ok(told!.behind > 0 && told!.lastErrorAt !== null);
      const measured = async () => {
        const { body } = await bad.app.http.inject('/metrics');
        const found = body.matchAll(/^identree_audit_(\w+)\{sink="jsonlog"(?:,status="(\w+)")?\} (\S+)$/gm);
        return new Map([...found].map(([, name, status, value]) => [status ?? name!, Number(value)]));
      };
      // What is known of a sink is told for a second.
      await until(async () => (await measured()).has('sink_last_error_timestamp_seconds'));
      const now = await measured();
      assert.ok(now.get('failed')! > 0 && now.get('sink_lag_events')! > 0 && now.has('sink_lag_seconds'));
      assert.deepEqual(
        ['emitted', 'dead_lettered', 'sink_paused'].map((name) => now.get(name)),
        [0, 0, 0],
      );
      assert.equal(now.get('sink_last_error_timestamp_seconds'), told!.lastErrorAt! / 1000);
      assert.equal(now.has('sink_last_success_timestamp_seconds'), false);
    } finally {
      await bad.close();
    }
  });

  test('[A-10] what was refused is listed and tried again on the command line', async () => {
    const run = (command: string) => runOn(`audit dead-letters ${command}`.split(' '), t.config);
    assert.equal((await run('list')).out, 'Nothing was refused.\n');
    assert.equal((await run('retry')).out, 'Nothing was refused.\n');
    const letter = { sink: 'jsonlog', seq: 2, reason: 'too large', at: t.clock.now() };
    const reason = 'no\x1b[2K\rNothing was refused.\n\u202e';
    await t.app.db.transaction((work) => putDeadLetters(work, [{ ...letter, reason }]));
    assert.match((await run('list')).out, / no\\x1b\[2K\\x0dNothing was refused\.\\x0a\\u\{202e\}\n$/);
    await t.app.db.transaction((work) => putDeadLetters(work, [letter]));
    assert.match((await run('list')).out, /^jsonlog {2}2 {2}[a-z_]+ {2}\S+Z {2}too large\n$/);
    assert.equal((await run('list --sink loki')).out, 'Nothing was refused.\n');
    const [told] = JSON.parse((await run('list --json')).out) as object[];
    assert.partialDeepStrictEqual(told, { sink: 'jsonlog', seq: 2, reason: 'too large', retry: false });
    assert.deepEqual(
      [(await run('retry --seq 3')).out, (await run('retry --seq 0')).code],
      ['Nothing was refused.\n', 2],
    );
    assert.match((await run('retry --sink jsonlog')).out, /^1 to be tried again/);
    await until(async () => (await run('list')).out === 'Nothing was refused.\n');
    const found = await lines();
    assert.equal(found.filter(({ seq }) => seq === 2).length, 2);
    assert.partialDeepStrictEqual(found.at(-1), { event: 'audit_dead_letters_retried', actor: 'identree-server' });
  });
});

const PASSWORD = 'otter-maple-violin-cactus';

forEachDriver('[A-12] a server that cannot write an event', (driver) => {
  test('approves nothing, shows no password, changes nothing, and does once it can', async () => {
    const provider = createTestProvider();
    const log = createLogger('error', { write: () => {} });
    const folder = await mkdtemp(join(tmpdir(), 'identree-closed-'));
    const policyFile = join(folder, 'policies.json');
    const policyOf = (approval: string) => JSON.stringify({ policies: [{ name: 'default', approval }] });
    await writeFile(policyFile, policyOf('passkey'), { mode: 0o600 });
    const t = await createTestApp({
      driver,
      app: { provider, log },
      env: {
        IDENTREE_ESCROW_BACKEND: 'local',
        IDENTREE_ESCROW_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
        IDENTREE_ESCROW_HKDF_SALT: randomBytes(32).toString('hex'),
      },
      config: { policiesFile: policyFile },
    });
    try {
      await announcePolicy(t.app, createPolicyFile(policyFile));
      const olga = await signInTestPerson(t.app, provider, t.clock, 'olga', { groups: ['admins'] });
      const alice = await signInTestPerson(t.app, provider, t.clock, 'alice');
      const host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
      const { challengeId, userCode } = await host.create();
      const approve = async () => {
        const { data } = await alice.query<Approval>('challenges.get', { code: userCode });
        const assertion = alice.passkey.assert(data.passkey!.options as never);
        return (await alice.mutate('challenges.approve', { challengeId, assertion })).refusal;
      };
      const state = async () => (await alice.query<Approval>('challenges.get', { code: userCode })).data.view.status;
      const kept = { id: randomUUID(), type: 'random', createdAt: t.clock.now(), password: PASSWORD };
      assert.equal((await host.send('POST', '/break-glass/escrow', kept)).status, 200);
      const reveal = { hostId: host.id, reason: 'the network is down' };
      const { data: asked } = await olga.mutate('breakGlass.revealOptions', reveal);
      const hook = { kind: 'slack', settings: { url: 'https://hooks.example.com/secret' } };
      await olga.mutate('notify.channels.add', { name: 'ops', ...hook, personal: false });
      await t.app.db.transaction((work) =>
        putDeadLetters(work, [{ sink: 'loki', seq: 1, reason: 'too large', at: t.clock.now() }]),
      );
      const toOps = {
        channels: ['ops'],
        events: [],
        hosts: [],
        hostGroups: [],
        users: [],
        severities: [],
        policies: [],
      };
      const people = await t.app.db.transaction(({ query }) =>
        kysely(query).selectFrom('people').select(['id', 'username']).execute(),
      );
      const personId = people.find(({ username }) => username === 'alice')!.id;
      /** All that there is beside the log, and what is known of who is here. */
      const stored = async () => {
        const { data: channels } = await olga.query('notify.channels.list');
        const { data: routes } = await olga.query('notify.routes.list');
        const { data: letters } = await olga.query('audit.deadLetters.list');
        const { data: keys } = await olga.query('passkeys.list');
        return { channels, routes, letters, keys };
      };
      const before = [await state(), await t.app.events.head()];
      const untouched = await stored();
      // Of all tables only this one takes nothing.
      await t.app.db.transaction(({ query }) => breakEvents(query, driver));
      assert.notEqual(await approve(), null);
      const changes = [
        ['hosts.createToken', { hostname: 'web2.example.com' }],
        ['hosts.setGroup', { hostId: host.id, group: 'web' }],
        ['breakGlass.rotate', { hostId: host.id }],
        ['passkeys.rename', { credentialId: olga.passkey.credentialId, name: 'another' }],
        ['notify.channels.add', { name: 'mine', ...hook, personal: true }],
        ['notify.channels.change', { name: 'ops', revision: 1, perMinute: 60 }],
        ['notify.routes.add', { rule: toOps }],
        ['notify.preferences.set', { enabled: false }],
        ['people.createRecoveryCode', { personId }],
        ['audit.deadLetters.retry', {}],
      ] as const;
      const atTheEnd = [
        ['hosts.revoke', { hostId: host.id }],
        ['challenges.deny', { challengeId }],
      ] as const;
      for (const [name, input] of [...changes, ...atTheEnd])
        assert.notEqual((await olga.mutate(name, input)).refusal, null, name);
      const shown = await olga.mutate('breakGlass.reveal', {
        ...reveal,
        assertion: olga.passkey.assert(asked as never),
      });
      assert.notEqual(shown.refusal, null);
      assert.ok(!JSON.stringify(shown).includes(PASSWORD));
      await writeFile(policyFile, policyOf('none'), { mode: 0o600 });
      const inForce = await readPolicyInForce(t.app.db.query);
      await assert.rejects(announcePolicy(t.app, createPolicyFile(policyFile)));
      assert.deepEqual(await readPolicyInForce(t.app.db.query), inForce);
      await writeFile(policyFile, policyOf('passkey'), { mode: 0o600 });
      assert.deepEqual([await state(), await t.app.events.head()], before);
      assert.deepEqual(await stored(), untouched);
      const [unchanged] = await t.app.hosts.list();
      assert.deepEqual([unchanged?.state, unchanged?.host_group], ['active', null]);
      await t.app.db.transaction(({ query }) => mendEvents(query, driver));
      assert.equal(await approve(), null);
      assert.equal(await state(), 'approved');
      const [last] = await t.app.events.read((await t.app.events.head()).seq - 1, 1);
      assert.deepEqual([last?.event, last?.challengeId], ['challenge_approved', challengeId]);
      // They were refused for this alone.
      for (const [name, input] of changes) assert.equal((await olga.mutate(name, input)).refusal, null, name);
    } finally {
      await t.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

forEachDriver('[A-12] a server whose disk is full', (driver) => {
  test('says why it decides, shows and changes nothing, and goes on once there is room', async (t) => {
    const provider = createTestProvider();
    const site = await createTestApp({
      driver,
      app: { provider, log: createLogger('error', { write: () => {} }) },
      env: {
        IDENTREE_ESCROW_BACKEND: 'local',
        IDENTREE_ESCROW_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
        IDENTREE_ESCROW_HKDF_SALT: randomBytes(32).toString('hex'),
      },
    });
    t.after(() => site.close());
    const { app, clock } = site;
    const olga = await signInTestPerson(app, provider, clock, 'olga', { groups: ['admins'] });
    const alice = await signInTestPerson(app, provider, clock, 'alice');
    const host = await enrolTestHost(app, clock, 'web1.example.com');
    const { challengeId, userCode } = await host.create();
    const kept = { id: randomUUID(), type: 'random', createdAt: clock.now(), password: PASSWORD };
    assert.equal((await host.send('POST', '/break-glass/escrow', kept)).status, 200);
    const reveal = { hostId: host.id, reason: 'the network is down' };
    const { data: asked } = await olga.mutate('breakGlass.revealOptions', reveal);
    const { data } = await alice.query<Approval>('challenges.get', { code: userCode });
    const approve = { challengeId, assertion: alice.passkey.assert(data.passkey!.options as never) };

    await app.db.transaction(({ query }) => fillDisk(query, driver));
    // On SQLite there is room left within what it has.
    const event = { event: 'server_started', username: '' } as const;
    for (let full = 0; full < 3; )
      await app.db
        .transaction((work) => app.events.append(work, event))
        .catch((error: unknown) => {
          assert.equal((error as DatabaseTrouble).kind, 'full');
          full += 1;
        });
    const token = ['hosts.createToken', { hostname: 'web2.example.com' }] as const;
    for (const [who, name, input] of [
      [alice, 'challenges.approve', approve],
      [alice, 'challenges.deny', { challengeId }],
      [olga, 'breakGlass.reveal', { ...reveal, assertion: olga.passkey.assert(asked as never) }],
      [olga, ...token],
    ] as const) {
      const answer = await who.mutate(name, input);
      assert.equal(answer.refusal, 'storage_full', name);
      assert.ok(!JSON.stringify(answer).includes(PASSWORD));
    }
    const { data: shown } = await alice.query<Approval>('challenges.get', { code: userCode });
    assert.equal(shown.view.status, 'pending');

    await app.db.transaction(({ query }) => emptyDisk(query, driver));
    assert.equal((await alice.mutate('challenges.deny', { challengeId })).refusal, null);
    assert.equal((await olga.mutate(...token)).refusal, null);
  });
});

/** Receivers that take connections and say nothing; closed at the end of the test. */
async function silentReceiver(t: Pick<TestContext, 'after'>): Promise<{ at: string; connections: () => number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).pause();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { at: `127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => sockets.size };
}

forEachDriver('[A-05] while sinks hang, refuse or cannot be found', (driver) => {
  test('decisions are made, and a sink that is well has their events', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'identree-hung-'));
    const silent = await silentReceiver(t);
    let slow = 0;
    const slowly = await httpReceiver(t, () => {
      slow += 1;
      return { status: 503, headers: { 'retry-after': '1' } };
    });
    const provider = createTestProvider();
    const site = await createTestApp({
      driver,
      // The standard output of a server whose reader reads nothing.
      app: { provider, log: createLogger('error', { write: () => {} }), output: { write: () => false, on: () => {} } },
      env: {
        IDENTREE_AUDIT_LOG: 'stdout',
        IDENTREE_AUDIT_LOG_2: join(folder, 'audit.jsonl'),
        IDENTREE_AUDIT_SYSLOG_URL: `tls://${silent.at}`,
        IDENTREE_AUDIT_SYSLOG_2_URL: 'tcp://syslog.invalid:601',
        IDENTREE_AUDIT_SYSLOG_3_URL: 'tcp://127.0.0.1:9',
        IDENTREE_AUDIT_SPLUNK_HEC_URL: `http://${silent.at}`,
        IDENTREE_AUDIT_SPLUNK_HEC_TOKEN: 'f2b4c6d8-first',
        IDENTREE_AUDIT_LOKI_URL: slowly.url,
        IDENTREE_AUDIT_LOKI_2_URL: `http://${silent.at}`,
      },
    });
    t.after(async () => {
      await site.close();
      await rm(folder, { recursive: true, force: true });
    });
    const { app, clock } = site;
    await app.start();
    const alice = await signInTestPerson(app, provider, clock, 'alice');
    const host = await enrolTestHost(app, clock, 'web1.example.com');
    // All of them are at it.
    await until(() => silent.connections() >= 3 && slow > 0);
    const decided: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      const { challengeId, userCode } = await host.create();
      const { data } = await alice.query<Approval>('challenges.get', { code: userCode });
      const assertion = alice.passkey.assert(data.passkey!.options as never);
      assert.equal((await alice.mutate('challenges.approve', { challengeId, assertion })).refusal, null);
      decided.push(challengeId);
    }
    const { seq } = await app.events.head();
    const lines = async () => {
      const text = await readFile(join(folder, 'audit.jsonl'), 'utf8').catch(() => '');
      return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]));
    };
    await until(async () => (await lines()).length >= seq);
    const approved = (await lines()).filter(({ event }) => event === 'challenge_approved');
    assert.deepEqual(
      approved.map(({ request_id }) => request_id),
      decided,
    );
    const others = (await app.readers.status()).filter(({ reader }) => /^audit (?!jsonlog_2$)/.test(reader));
    assert.equal(others.length, 7);
    assert.deepEqual(
      others.map(({ seq }) => seq),
      Array(7).fill(0),
    );
  });
});
