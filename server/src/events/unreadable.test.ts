import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { auditRecord } from '../audit/record.ts';
import { kysely } from '../db/query.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { findCursor } from './cursor-store.ts';
import { checkChain, readChallengeEvents } from './store.ts';

for (const driver of ['sqlite', 'postgres'] as const) {
  const skip = driver === 'postgres' ? (whyNoPostgres() ?? false) : false;
  describe(`an event that cannot be read, on ${driver}`, { skip }, () => {
    let t: TestApp;
    let broken: number;
    const followed: number[] = [];
    before(async () => {
      t = await createTestApp({ driver, config: { metricsToken: 'a token of these tests' } });
      t.app.events.follow(({ seq }) => followed.push(seq));
      await t.app.start();
      // It begins where the log is when it begins.
      await until('events are counted', async () => (await findCursor(t.app.db.query, 'metrics')) !== null);
      broken = await append('{"reason":');
    });
    after(() => t.close());

    /** Appends an event of a request; `data`: what is found of it instead of what was written. */
    const append = (data?: string): Promise<number> =>
      t.app.db.transaction(async (work) => {
        const { seq } = await t.app.events.append(work, {
          event: 'challenge_created',
          username: 'alice',
          challengeId: 'request',
        });
        if (data !== undefined)
          await sql`update events set data = ${data} where seq = ${seq}`.execute(kysely(work.query));
        return seq;
      });
    const until = async (what: string, done: () => Promise<boolean> | boolean): Promise<void> => {
      for (let look = 0; look < 12_000; look += 1) {
        if (await done()) return;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.fail(`never: ${what}`);
    };
    const metrics = async () =>
      (await t.app.http.inject({ url: '/metrics', headers: { authorization: 'Bearer a token of these tests' } })).body;

    test('stops nobody who follows the log, and no reader: what comes after it is told and counted', async () => {
      const next = await append();
      await until('followers are told of it and of the next one', () =>
        [broken, next].every((seq) => followed.includes(seq)),
      );
      await until('both are counted', async () => /^identree_challenges_created_total 2$/m.test(await metrics()));
      // What was read of the database a moment ago is told for a second.
      await until('nothing waits', async () =>
        /^identree_event_reader_lag_events\{reader="metrics"\} 0$/m.test(await metrics()),
      );
      assert.match(await metrics(), /^identree_event_reader_failing\{reader="metrics"\} 0$/m);
    });

    test('is counted, and the health report names it', async () => {
      assert.match(await metrics(), /^identree_unreadable_rows_total\{table="events"\} 1$/m);
      const { body } = await t.app.http.inject({ url: '/healthz' });
      const report = JSON.parse(body) as { status: string; checks: Record<string, string> };
      assert.equal(report.checks.event_log, `event ${broken} cannot be read`);
      assert.equal(report.checks.event_readers, 'ok');
    });

    test('breaks the chain there, and nothing is exported of its request', async () => {
      assert.deepEqual(await checkChain(t.app.db.query), { seq: broken, problem: 'unreadable' });
      await assert.rejects(readChallengeEvents(t.app.db.query, 'request'), /cannot be read/);
    });

    test('nor one that nobody can have hashed: no sink and no export stands still there', async () => {
      const nested = `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`;
      for (const data of ['{"a":"\\ud800"}', '{"\\udfff":1}', '{"a":1e999}', nested]) {
        const seq = await append(data);
        const [event] = await t.app.events.read(seq - 1, 1);
        assert.deepEqual([event?.unreadable, event?.data], [true, {}], data.slice(0, 20));
        assert.equal(JSON.parse(auditRecord(event!).text).seq, seq);
      }
    });

    test('whatever is there instead of an object', async () => {
      for (const data of ['null', '5', '[]', '']) {
        const seq = await append(data);
        const [event] = await t.app.events.read(seq - 1, 1);
        assert.deepEqual([event?.unreadable, event?.data], [true, {}], data);
      }
    });
  });
}
