import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import type { HostRecord } from '#shared/decision.ts';
import { eventSentence } from '#shared/event-sentences/sentence.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { JOURNAL_START } from '#shared/journal-head.ts';
import { type GrantEntry, grantShape, type OfflineGrant, offlineGrant } from '#shared/offline-grant.ts';
import { grantableRecord, grantEnd, grantRun, grantUse } from '#shared/testing/grant-entry.ts';
import { sampleResolved } from '#shared/testing/request-record.ts';
import { signToken, tokenType, verifyToken } from '#shared/token.ts';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import { journalBeats } from '../testing/journal-beat.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { openDirectorySite } from '../testing/test-directory.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson } from '../testing/test-person.ts';
import type { Approval } from './showing.ts';

type Driver = 'sqlite' | 'postgres';
const ROBOTS = { name: 'robots', match_users: ['robot*', 'alice'], approval: 'none' };
const LAB = { name: 'lab', match_host_groups: ['lab'], approval: 'none' };
const HOUR_MS = 3_600_000;

/** A policy in a file, with words of its own: another name is another policy. */
async function policyFile(t: Pick<TestContext, 'after'>) {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-offline-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'policies.json');
  const say = (...policies: object[]) => writeFile(path, JSON.stringify({ policies }), { mode: 0o600 });
  return { path, say };
}

/** One server for all tests of a database; each has a host of its own. */
const sites = new Map<string, ReturnType<typeof open>>();
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.toReversed()) await close();
});
let hosts = 0;

async function open(driver: Driver, offline: string) {
  const policy = await policyFile({ after: (close) => void closing.push(close as () => unknown) });
  const provider = createTestProvider();
  await policy.say();
  const site = await createTestApp({
    driver,
    app: { provider },
    env: { IDENTREE_OFFLINE_GRANT: offline },
    config: { policiesFile: policy.path },
  });
  closing.push(() => site.close());
  const alice = await signInTestPerson(site.app, provider, site.clock, 'alice');
  const olga = await signInTestPerson(site.app, provider, site.clock, 'olga', { groups: ['admins'] });
  return { ...site, policy, alice, olga };
}

async function world(driver: Driver, offline = '1h') {
  const key = `${driver} ${offline}`;
  let opened = sites.get(key);
  if (opened === undefined) {
    opened = open(driver, offline);
    sites.set(key, opened);
  }
  const site = await opened;
  await site.policy.say(ROBOTS, LAB);
  const host = await enrolTestHost(site.app, site.clock, `web${++hosts}.example.com`);
  return { ...site, ...helpers(site, host), host };
}

function helpers({ app, clock }: Pick<TestApp, 'app' | 'clock'>, host: TestHost) {
  const record = (fields: Partial<HostRecord> = {}): HostRecord =>
    grantableRecord({ hostId: host.id, user: 'robot', createdAt: clock.now(), ...fields });
  const read = async (token: string): Promise<OfflineGrant> => {
    const verified = await verifyToken(tokenType.offlineGrant, token, [app.keys.verdict.public], offlineGrant);
    assert.ok(verified.ok);
    return verified.payload;
  };
  /** Asks, and gets a grant with the answer. */
  async function granted(asked = record(), from = host): Promise<{ token: string; grant: OfflineGrant }> {
    const answer: ChallengeAnswer = await from.create(asked);
    assert.equal(answer.status, 'approved');
    assert.ok(answer.offlineGrant, 'a grant came with it');
    return { token: answer.offlineGrant, grant: await read(answer.offlineGrant) };
  }
  const inForce = async () => (await host.send('GET', '/offline-grants')).body as { revokedTo: number };
  const isRevoked = async ({ sequence }: OfflineGrant) => {
    await app.offlineGrants.endUnfounded();
    return sequence <= (await inForce()).revokedTo;
  };
  const tell = (entry: GrantEntry) => host.send('POST', '/offline-grants/journal', entry);
  const happened = async (event: string) =>
    (await app.events.read(0, 10_000)).filter((one) => one.event === event && one.hostId === host.id);
  return { record, granted, inForce, isRevoked, tell, happened };
}

forEachDriver('offline grants', (driver) => {
  test('one comes with what a policy approves by itself: for this host, account and shape, for its time', async () => {
    const w = await world(driver, '30m');
    const asked = w.record();
    const { grant } = await w.granted(asked);
    const seconds = Math.floor(w.clock.now() / 1000);
    const { challengeId, policyVersion, ...said } = grant;
    assert.deepEqual(said, {
      v: 1,
      iss: w.host.serverId,
      aud: w.host.id,
      iat: seconds,
      exp: seconds + 1800,
      nonce: asked.nonce,
      user: 'robot',
      shape: grantShape(asked),
      rule: 'robots',
      sequence: w.clock.now(),
      uses: 100,
    });
    const [event] = await w.happened('auto_approved');
    assert.deepEqual(
      [event?.challengeId, event?.data.offlineGrantUntil, event?.data.policyVersion],
      [challengeId, grant.exp * 1000, policyVersion],
    );
  });

  test('none is made where the policy wants a person, for what can be anything, or by a server that makes none', async () => {
    const w = await world(driver);
    const asked = await w.host.create(w.record({ user: 'bob' }));
    assert.deepEqual([asked.status, asked.offlineGrant], ['pending', null]);
    for (const fields of [
      { unrestricted: ['interpreter'] },
      { mode: 'shell' },
      { target: null },
      { resolved: sampleResolved('/usr/bin/id', { intercepted: true }) },
    ] as const satisfies Partial<HostRecord>[]) {
      const answer = await w.host.create(w.record(fields as unknown as Partial<HostRecord>));
      assert.deepEqual([answer.status, answer.offlineGrant], ['approved', null], JSON.stringify(fields));
    }
    const never = await world(driver, '0s');
    const answer = await never.host.create(never.record());
    assert.deepEqual([answer.status, answer.offlineGrant], ['approved', null]);
    assert.equal(answer.grants?.policyVersion, null, 'and those of before it was turned off end');
  });

  test('one that a person approved is for once', async () => {
    const w = await world(driver);
    const { alice } = w;
    await w.policy.say({ name: 'default', approval: 'passkey' });
    const { challengeId, userCode } = await w.host.create(w.record({ user: 'alice' }));
    const { data } = await alice.query<Approval>('challenges.get', { code: userCode });
    const assertion = alice.passkey.assert(data.passkey!.options as never);
    assert.equal((await alice.mutate('challenges.approve', { challengeId, assertion })).refusal, null);
    const { body } = await w.host.send('GET', `/challenges/${challengeId}?wait=0&keys=0`);
    assert.deepEqual([body.status, body.offlineGrant], ['approved', null]);
  });

  test('what is in force comes with every answer: to a request, a poll, a heartbeat, and when it is asked for', async () => {
    const w = await world(driver);
    const { grant } = await w.granted();
    const expected = { revokedTo: 0, policyVersion: grant.policyVersion, runs: true };
    const asked = await w.host.create(w.record({ user: 'bob' }));
    assert.deepEqual(asked.grants, expected);
    for (const path of [`/challenges/${asked.challengeId}?wait=0&keys=0`, '/offline-grants']) {
      const { body } = await w.host.send('GET', path);
      assert.deepEqual(body.grants ?? body, expected, path);
    }
    w.host.counter += 1;
    const { body } = await w.host.send('POST', '/heartbeat', {
      counter: w.host.counter,
      machineId: w.host.machineId,
      approverKeysVersion: 0,
      now: w.clock.now(),
      checkpointSeq: 0,
      agentVersion: '1',
      osInfo: 'x',
    });
    assert.deepEqual(body.grants, expected);
  });

  for (const [name, change] of [
    ['another policy', (w) => w.policy.say(ROBOTS, { ...LAB, name: 'elsewhere' })],
    ['a policy that wants a person now', (w) => w.policy.say({ ...ROBOTS, approval: 'passkey' })],
    ['a policy that cannot be read', (w) => writeFile(w.policy.path, '{')],
    ['a host that was revoked', (w) => w.app.hosts.revoke(w.host.id, { username: 'olga', remoteAddr: null })],
  ] as const satisfies readonly (readonly [string, (w: Awaited<ReturnType<typeof world>>) => Promise<unknown>])[])
    test(`[E-P20] ${name} takes them back, and no later one`, async () => {
      const w = await world(driver);
      const { grant } = await w.granted();
      await w.app.offlineGrants.endUnfounded();
      const revokedTo = async () =>
        (
          await kysely(w.app.db.query)
            .selectFrom('hosts')
            .select('grants_revoked_to')
            .where('id', '=', w.host.id)
            .executeTakeFirstOrThrow()
        ).grants_revoked_to;
      assert.equal(await revokedTo(), 0, 'nothing has changed yet');
      await change(w);
      await w.app.offlineGrants.endUnfounded();
      assert.equal(await revokedTo(), grant.sequence);
      if (name.includes('host')) return;
      await w.policy.say(ROBOTS);
      const { grant: later } = await w.granted();
      assert.ok(later.sequence > grant.sequence, 'though no time has passed');
      assert.equal(await w.isRevoked(later), false);
    });

  test('a host that is put into another group loses what that group was let', async () => {
    const w = await world(driver);
    const by = { username: 'olga', remoteAddr: null };
    await w.app.hosts.setGroup(w.host.id, 'lab', by);
    const { grant } = await w.granted(w.record({ user: 'carol' }));
    assert.equal(await w.isRevoked(grant), false);
    await w.app.hosts.setGroup(w.host.id, 'production', by);
    assert.equal(await w.isRevoked(grant), true);
  });

  test('a use becomes one request with one event, however often it is told, and says when it was told', async () => {
    const w = await world(driver);
    const { token, grant } = await w.granted();
    const usedAt = w.clock.now() + 60_000;
    const used = grantUse({ at: usedAt, grant: token, record: w.record({ createdAt: usedAt, reason: 'nightly' }) });
    w.clock.advance(120_000);
    const toldAt = w.clock.now();
    const answers = [await w.tell(used), await w.tell(used)];
    assert.deepEqual(
      answers.map(({ status, body }) => [status, body.revokedTo, body.policyVersion]),
      Array(2).fill([200, 0, grant.policyVersion]),
    );
    const end = grantEnd({ at: usedAt, nonce: used.record.nonce, outcome: 'granted', detail: null }, used.hash);
    for (let i = 0; i < 2; i += 1) assert.equal((await w.tell(end)).status, 200);
    const events = await w.happened('grant_used_offline');
    assert.equal(events.length, 1);
    const [event] = events;
    assert.equal(event?.reason, 'nightly');
    assert.deepEqual(
      [event?.data.grantedAt, event?.data.usedAt, event?.data.gap, event?.data.problem, event?.data.grantedWith],
      [grant.iat * 1000, usedAt, false, null, grant.challengeId],
    );
    assert.equal((await w.happened('challenge_outcome')).length, 1);

    const { data } = await w.olga.query<Approval>('challenges.get', { code: event!.code! });
    const { status, createdAt, decidedAt, offline, outcome, decidedBy } = data.view;
    assert.deepEqual(
      { status, createdAt, decidedAt, offline, outcome, decidedBy, class: data.view.class },
      {
        status: 'approved',
        createdAt: toldAt,
        decidedAt: grant.iat * 1000,
        offline: { grantedAt: grant.iat * 1000, usedAt, problem: null },
        outcome: 'granted',
        decidedBy: null,
        class: 'policy',
      },
    );
  });

  test('a use whose end was never told has no outcome', async () => {
    const w = await world(driver);
    const { token } = await w.granted();
    await w.tell(grantUse({ at: w.clock.now(), grant: token, record: w.record() }));
    const [event] = await w.happened('grant_used_offline');
    const { data } = await w.olga.query<Approval>('challenges.get', { code: event!.code! });
    assert.deepEqual([data.view.status, data.view.outcome], ['approved', null]);
  });

  test('what sudo did with a command is told with its use, as it was by the clock of the host, and once', async () => {
    const w = await world(driver);
    const { token } = await w.granted();
    const at = w.clock.now();
    w.clock.advance(600_000);
    const use = grantUse({ at, grant: token, record: w.record({ createdAt: at }) });
    const { nonce } = use.record;
    const end = grantEnd({ at: at + 50, nonce, outcome: 'granted', detail: null }, use.hash);
    const started = grantRun({ at: at + 60, nonce, run: { state: 'started' } }, end.hash);
    const how = { state: 'ended', exitStatus: null, signal: 'SIGKILL', durationMs: 3000 } as const;
    const ended = grantRun({ at: at + 3060, nonce, run: how }, started.hash);
    const next = grantUse({ at: at + 4000, grant: token, record: w.record({ createdAt: at }) }, ended.hash);
    await journalBeats(w, w.host).say({ ...JOURNAL_START, after: null });
    for (const entry of [use, end, started]) assert.equal((await w.tell(entry)).status, 200);
    const [event] = await w.happened('grant_used_offline');
    const view = async () => (await w.olga.query<Approval>('challenges.get', { code: event!.code! })).data.view;
    assert.deepEqual((await view()).run, { state: 'started', startedAt: at + 60 });
    for (const entry of [ended, ended, started, next]) assert.equal((await w.tell(entry)).status, 200);
    const known = (await w.app.hosts.journalViews(w.host.id)).map(({ journal, seq }) => [journal, seq]);
    assert.deepEqual(known, [
      ['breakGlass', 0],
      ['offlineGrants', 5],
    ]);
    assert.deepEqual((await view()).run, { ...how, endedAt: at + 3060 });
    const runs = await w.happened('challenge_run');
    assert.deepEqual(
      runs.map(({ data }) => [data.state, data.signal, data.durationMs, data.happenedAt, data.journalHash]),
      [
        ['started', null, null, at + 60, started.hash],
        ['ended', 'SIGKILL', 3000, at + 3060, ended.hash],
      ],
    );
    assert.deepEqual(
      (await w.happened('grant_used_offline')).map(({ data }) => data.gap),
      [false, false],
    );
  });

  test('what became of a use that this server does not have is of no request, and is said of none', async () => {
    const w = await world(driver);
    const { token } = await w.granted();
    const lost = grantUse({ at: w.clock.now(), grant: token, record: w.record() });
    const run = { state: 'ended', exitStatus: 0, signal: null, durationMs: 1 } as const;
    const { nonce } = lost.record;
    assert.equal((await w.tell(grantRun({ at: w.clock.now(), nonce, run }, lost.hash))).status, 200);
    assert.deepEqual(await w.happened('challenge_run'), []);
    // Nor of a request that the host asked about: of that it tells otherwise.
    const record = w.record();
    await w.host.create(record);
    await w.tell(grantRun({ at: w.clock.now(), nonce: record.nonce, run }, lost.hash));
    assert.deepEqual(await w.happened('challenge_run'), []);
  });

  test('what is missing between two entries shows', async () => {
    const w = await world(driver);
    const { token } = await w.granted();
    const use = (prevHash?: string) => grantUse({ at: w.clock.now(), grant: token, record: w.record() }, prevHash);
    const first = use();
    const lost = use(first.hash);
    for (const entry of [first, use(lost.hash), use()]) assert.equal((await w.tell(entry)).status, 200);
    assert.deepEqual(
      (await w.happened('grant_used_offline')).map(({ data }) => data.gap),
      [false, true, true],
    );
  });

  test('a use that its grant did not allow is written down as that', async () => {
    const w = await world(driver);
    const { token, grant } = await w.granted();
    const at = w.clock.now();
    for (const use of [
      grantUse({ at, grant: token, record: w.record({ cwd: '/elsewhere' }) }),
      grantUse({ at, grant: token, record: w.record({ user: 'root' }) }),
      grantUse({ at: grant.exp * 1000 + HOUR_MS, grant: token, record: w.record() }),
      grantUse({ at: grant.iat * 1000 - HOUR_MS, grant: token, record: w.record() }),
    ])
      assert.equal((await w.tell(use)).status, 200);
    assert.deepEqual(
      (await w.happened('grant_used_offline')).map(({ data }) => data.problem),
      ['another_request', 'another_request', 'outside_its_time', 'outside_its_time'],
    );
    const events = await w.happened('grant_used_offline');
    for (const { code, data } of events) {
      const { view } = (await w.olga.query<Approval>('challenges.get', { code: code! })).data;
      assert.equal(view.offline?.problem, data.problem, 'whoever opens the request reads it too');
    }
    assert.match(eventSentence(events[0]!), /What it says it ran is not what was granted\./);
    assert.match(eventSentence(events[2]!), /not the time of the grant\./);
    assert.match(eventSentence(events[3]!), /something was never told\.$/);
  });

  test('what this server did not grant to this host is no use', async () => {
    const w = await world(driver);
    const { token, grant } = await w.granted();
    const other = await enrolTestHost(w.app, w.clock, `web${++hosts}.example.com`);
    const at = w.clock.now();
    const theirs = grantUse({ at, grant: token, record: grantableRecord({ hostId: other.id, user: 'robot' }) });
    assert.equal((await other.send('POST', '/offline-grants/journal', theirs)).body.error?.code, 'bad_request');
    const spoken = grantUse({ at, grant: token, record: w.record({ hostId: other.id }) });
    assert.equal((await w.tell(spoken)).body.error?.code, 'wrong_host_record');
    const forged = await signToken(tokenType.offlineGrant, grant, w.app.keys.log);
    const verdict = await signToken(tokenType.verdict, grant, w.app.keys.verdict);
    for (const bad of [forged, verdict, 'x.y.z'])
      assert.equal((await w.tell(grantUse({ at, grant: bad, record: w.record() }))).body.error?.code, 'bad_request');
    const entry = grantUse({ at, grant: token, record: w.record() });
    assert.equal((await w.tell({ ...entry, at: at + 1 })).body.error?.code, 'bad_request');
    assert.deepEqual(await w.happened('grant_used_offline'), []);
  });

  // The last one: whoever signed in is signed out by it.
  test('grants that are over are forgotten, and revoke nothing any more', async () => {
    const w = await world(driver);
    await w.granted();
    w.clock.advance(HOUR_MS + 1000);
    await w.policy.say();
    await w.app.offlineGrants.endUnfounded();
    assert.equal((await w.inForce()).revokedTo, 0);
    await w.app.offlineGrants.forgetOver();
    const left = await kysely(w.app.db.query).selectFrom('offline_grants').select('host_id').execute();
    assert.ok(!left.some(({ host_id }) => host_id === w.host.id));
  });
});

test('an account that is disabled where people come from takes back what it was granted', async (t) => {
  const policy = await policyFile(t);
  await policy.say(ROBOTS);
  const alice = { id: 'sub-alice', username: 'alice', issuer: 'https://idp.example.com' };
  const bob = { id: 'sub-bob', username: 'bob', issuer: 'https://idp.example.com' };
  const site = await openDirectorySite(t, [alice, bob], {
    env: { IDENTREE_OFFLINE_GRANT: '1h', IDENTREE_APPROVAL_POLICIES_FILE: policy.path },
  });
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const w = helpers(site, host);
  const { grant } = await w.granted(w.record({ user: 'alice' }));
  assert.equal(await w.isRevoked(grant), false);
  await site.serve([{ ...alice, disabled: true }, bob]);
  assert.equal(await w.isRevoked(grant), true);
});
