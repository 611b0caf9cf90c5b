import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { LEASE_SECONDS } from '#shared/host-api.ts';
import { kysely } from '../db/query.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { createTestApp } from '../testing/test-app.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { PENDING_IN_TOTAL, PENDING_PER_USER_AND_HOST } from './limits.ts';

for (const driver of ['sqlite', 'postgres'] as const) {
  const skip = driver === 'postgres' ? (whyNoPostgres() ?? false) : false;
  test(`ten thousand requests wait at most, whoever asks, on ${driver}`, { skip }, async () => {
    const t = await createTestApp({ driver });
    try {
      const host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
      const first = await host.create();
      const row = await kysely(t.app.db.query)
        .selectFrom('challenges')
        .selectAll()
        .where('status', '=', sql.lit('pending'))
        .executeTakeFirstOrThrow();
      const others = Array.from({ length: PENDING_IN_TOTAL - 2 }, (_, i) => ({
        ...row,
        id: `other-${i}`,
        user_code: `OTHER-${i}`,
        nonce: `other-${i}`,
        username: `user${i}`,
      }));
      await t.app.db.transaction(async (work) => {
        for (let i = 0; i < others.length; i += 500) {
          await kysely(work.query)
            .insertInto('challenges')
            .values(others.slice(i, i + 500))
            .execute();
        }
      });
      // The limit is counted anew at least once a second.
      t.clock.advance(1000);
      await host.create(host.record({ user: 'last' }));
      const refused = await host.send('POST', '/challenges', host.createBody(host.record({ user: 'too.many' })));
      assert.equal(refused.status, 429);
      assert.equal(refused.body.error?.code, 'too_many_pending');
      await host.send('DELETE', `/challenges/${first.challengeId}`);
      await host.create(host.record({ user: 'next' }));
    } finally {
      await t.close();
    }
  });
}

test('ten requests of one user on one host wait at most; those that nobody waits for any more do not count', async () => {
  // Not started: nothing here ends what is overdue.
  const t = await createTestApp();
  try {
    const host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    for (let i = 0; i < PENDING_PER_USER_AND_HOST; i += 1) await host.create();
    const refused = await host.send('POST', '/challenges', host.createBody(host.record()));
    assert.equal(refused.body.error?.code, 'too_many_pending_user');
    t.clock.advance(LEASE_SECONDS * 1000);
    await host.create();
  } finally {
    await t.close();
  }
});
