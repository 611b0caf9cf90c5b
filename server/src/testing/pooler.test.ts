import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sql } from 'kysely';
import { openDatabase } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import { makeTestPostgres } from '../db/test-databases.ts';
import { startPgbouncer, whyNoPgbouncer } from '../db/test-pgbouncer.ts';
import { until } from './load.ts';
import { createTestApp } from './test-app.ts';
import { enrolTestHost } from './test-host.ts';

const nameOf = (dsn: string): string => new URL(dsn).pathname.slice(1);

describe('behind pgbouncer in transaction mode', { skip: whyNoPgbouncer() ?? false }, () => {
  test('two servers work, and one hears within a second what the other has written', async (t) => {
    const postgres = await makeTestPostgres();
    t.after(postgres.drop);
    const pooler = await startPgbouncer(t);
    const site = await createTestApp({
      env: {
        IDENTREE_DATABASE_DRIVER: 'postgres',
        IDENTREE_DATABASE_DSN: pooler.dsn(nameOf(postgres.dsn)),
        IDENTREE_DATABASE_POOLER: 'transaction',
      },
    });
    t.after(() => site.close());
    const other = await site.replica();
    const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
    const { challengeId } = await host.create();
    const lease = async () =>
      (
        await kysely(site.app.db.query)
          .selectFrom('challenges')
          .select('lease_until')
          .where('id', '=', challengeId)
          .executeTakeFirstOrThrow()
      ).lease_until;
    const before = await lease();
    const waits = host.send('GET', `/challenges/${challengeId}?wait=25`);
    // The poll has begun when it has moved the lease.
    await until(async () => (await lease()) !== before);
    await host.send('DELETE', `/challenges/${challengeId}`, undefined, {}, other);
    const decidedAt = performance.now();
    assert.equal((await waits).body.status, 'cancelled');
    assert.ok(performance.now() - decidedAt < 15_000, 'not only when the wait was over');
    assert.equal((await site.app.health()).checks.database, 'ok');
  });

  test('what stands still is ended, and the limits are for one transaction only', async (t) => {
    const postgres = await makeTestPostgres();
    t.after(postgres.drop);
    const pooler = await startPgbouncer(t);
    const dsn = pooler.dsn(nameOf(postgres.dsn));
    const db = await openDatabase({ driver: 'postgres', dsn, maxConnections: 2, pooler: 'transaction' });
    t.after(() => db.close());
    const limit = async (query: typeof db.query) =>
      (
        await sql<{ limit: string }>`select current_setting('idle_in_transaction_session_timeout') as limit`.execute(
          kysely(query),
        )
      ).rows[0]?.limit;
    assert.equal(await db.transaction(({ query }) => limit(query)), '2s');
    assert.equal(await limit(db.query), '0');
  });

  test('without the setting it is said which one is needed', async (t) => {
    const postgres = await makeTestPostgres();
    t.after(postgres.drop);
    const pooler = await startPgbouncer(t);
    const opening = openDatabase({ driver: 'postgres', dsn: pooler.dsn(nameOf(postgres.dsn)), maxConnections: 2 });
    await assert.rejects(opening, /IDENTREE_DATABASE_POOLER/);
  });
});
