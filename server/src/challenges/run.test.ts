import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RunRequest } from '#shared/host-run.ts';
import { sampleResolved } from '#shared/testing/request-record.ts';
import { backUp, restore } from '../backup/backup.ts';
import { openDatabase } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';

for (const driver of ['sqlite', 'postgres'] as const) {
  const missing = driver === 'postgres' ? whyNoPostgres() : null;
  if (missing) test(`what sudo did with a command, on ${driver}`, { skip: missing }, () => {});
  else describe(`what sudo did with a command, on ${driver}`, () => whatSudoDid(driver));
}

const STARTED: RunRequest = { state: 'started' };
const ENDED: RunRequest = { state: 'ended', exitStatus: 0, signal: null, durationMs: 3000 };
const KILLED: RunRequest = { state: 'ended', exitStatus: null, signal: 'SIGKILL', durationMs: 5_000_000_000 };
const REFUSED = { state: 'refused', reason: 'not \u202eallowed\0' } satisfies RunRequest;
const VISIBLE = 'not \\u{202e}allowed\\x00';

const runOf = (query: Query, id: string) =>
  kysely(query)
    .selectFrom('challenges')
    .select(['run_state', 'run_started_at', 'run_ended_at', 'run_exit_status', 'run_signal', 'run_duration_ms'])
    .select('run_reason')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();

const NOTHING = {
  run_state: null,
  run_started_at: null,
  run_ended_at: null,
  run_exit_status: null,
  run_signal: null,
  run_duration_ms: null,
  run_reason: null,
};

function whatSudoDid(driver: 'sqlite' | 'postgres') {
  let t: TestApp;
  let host: TestHost;
  let other: TestHost;
  let alice: TestPerson;

  before(async () => {
    const provider = createTestProvider();
    t = await createTestApp({ driver, app: { provider } });
    host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    other = await enrolTestHost(t.app, t.clock, 'web2.example.com');
    alice = await signInTestPerson(t.app, provider, t.clock, 'alice');
  });
  after(() => t?.close());

  /** A command that somebody approved. */
  async function approved(): Promise<string> {
    const record = host.record({ gate: 'plugin', argv: ['id'], resolved: sampleResolved('/usr/bin/id') });
    const { challengeId, userCode } = await host.create(record);
    const { data } = await alice.query<{ passkey: { options: never } }>('challenges.get', { code: userCode });
    const assertion = await alice.passkey.assert(data.passkey.options);
    assert.equal((await alice.mutate('challenges.approve', { challengeId, assertion })).refusal, null);
    return challengeId;
  }

  const tell = (id: string, body: RunRequest, from = host) => from.send('POST', `/challenges/${id}/run`, body);
  const told = async (id: string) =>
    (await t.app.events.read(0, 10_000)).filter((one) => one.challengeId === id && one.event === 'challenge_run');

  test('start and end are kept, each with one event, however often they are told', async () => {
    const id = await approved();
    const startedAt = t.clock.now();
    for (let i = 0; i < 2; i += 1) assert.equal((await tell(id, STARTED)).status, 204);
    assert.deepEqual(await runOf(t.app.db.query, id), {
      ...NOTHING,
      run_state: 'started',
      run_started_at: startedAt,
    });
    t.clock.advance(3000);
    for (let i = 0; i < 2; i += 1) assert.equal((await tell(id, ENDED)).status, 204);
    assert.deepEqual(await runOf(t.app.db.query, id), {
      ...NOTHING,
      run_state: 'ended',
      run_started_at: startedAt,
      run_ended_at: startedAt + 3000,
      run_exit_status: 0,
      run_duration_ms: 3000,
    });
    const nothing = { exitStatus: null, signal: null, durationMs: null, reason: null };
    assert.deepEqual(
      (await told(id)).map(({ username, hostId, data }) => ({ username, hostId, data })),
      [
        { ...nothing, state: 'started' },
        { ...nothing, state: 'ended', exitStatus: 0, durationMs: 3000 },
      ].map((data) => ({ username: 'alice', hostId: host.id, data })),
    );
  });

  test('what has ended stays ended, and what sudo did not start stays so', async () => {
    for (const first of [KILLED, REFUSED]) {
      const id = await approved();
      assert.equal((await tell(id, first)).status, 204);
      const row = await runOf(t.app.db.query, id);
      assert.equal(row.run_state, first.state);
      t.clock.advance(1000);
      for (const later of [STARTED, ENDED, REFUSED, KILLED]) assert.equal((await tell(id, later)).status, 204);
      assert.deepEqual(await runOf(t.app.db.query, id), row);
      assert.equal((await told(id)).length, 1);
    }
  });

  test('that sudo could not execute a command which it was about to start is kept', async () => {
    const id = await approved();
    await tell(id, STARTED);
    await tell(id, REFUSED);
    const row = await runOf(t.app.db.query, id);
    assert.deepEqual([row.run_state, row.run_reason, row.run_started_at !== null], ['refused', VISIBLE, true]);
    assert.equal((await told(id)).at(-1)?.data.reason, VISIBLE, 'nothing invisible in the log');
  });

  test('another host cannot tell it, and learns nothing', async () => {
    const id = await approved();
    for (const body of [STARTED, ENDED, REFUSED]) {
      const refused = await tell(id, body, other);
      assert.deepEqual([refused.status, refused.body.error?.code], [404, 'challenge_not_found']);
    }
    assert.deepEqual(await runOf(t.app.db.query, id), NOTHING);
    assert.deepEqual(await told(id), []);
  });

  test('nothing is told to have run that was not approved', async () => {
    const waiting = await host.create();
    const withdrawn = await host.create();
    await host.send('DELETE', `/challenges/${withdrawn.challengeId}`);
    const denied = await host.create();
    await alice.mutate('challenges.deny', { challengeId: denied.challengeId, reason: null });
    for (const { challengeId } of [waiting, withdrawn, denied]) {
      for (const body of [STARTED, ENDED, REFUSED]) {
        assert.equal((await tell(challengeId, body)).body.error?.code, 'superseded');
      }
      assert.deepEqual(await runOf(t.app.db.query, challengeId), NOTHING);
      assert.deepEqual(await told(challengeId), []);
    }
    await host.send('DELETE', `/challenges/${waiting.challengeId}`);
  });

  test('who may see the request sees it; who may not is not told', async () => {
    const id = await approved();
    await tell(id, STARTED);
    await tell(id, KILLED);
    const { data } = await alice.query<{ requests: { id: string; run: object }[] }>('challenges.history', {});
    assert.deepEqual(data.requests.find((one) => one.id === id)?.run, {
      state: 'ended',
      endedAt: t.clock.now(),
      exitStatus: null,
      signal: 'SIGKILL',
      durationMs: 5_000_000_000,
    });
  });

  test('a backup holds it', async () => {
    const id = await approved();
    await tell(id, STARTED);
    await tell(id, KILLED);
    const row = await runOf(t.app.db.query, id);
    const folder = await mkdtemp(join(tmpdir(), 'identree-runs-'));
    try {
      await backUp(t.app.config, join(folder, 'backup'));
      const config = {
        database: { driver: 'sqlite' as const, dsn: join(folder, 'identree.db'), maxConnections: 1 },
        keysDir: join(folder, 'keys'),
      };
      await restore(config, join(folder, 'backup'), Date.now());
      const db = await openDatabase(config.database);
      try {
        assert.deepEqual(await runOf(db.query, id), row);
      } finally {
        await db.close();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}
