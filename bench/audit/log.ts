import type { App } from '../../server/src/app/app.ts';
import { kysely } from '../../server/src/db/query.ts';
import type { NewEvent } from '../../server/src/events/log.ts';

export const USERS = 500;
export const HOSTS = 200;

const KINDS = [
  'user_logged_in',
  'host_reported',
  'challenge_created',
  'challenge_approved',
  'challenge_outcome',
] as const;

/** An event like many: a user, a host, a reason, some facts. Refusals are rare. */
export const eventOf = (n: number): NewEvent => ({
  event: n % 500 === 0 ? 'login_failed' : KINDS[n % KINDS.length]!,
  username: `user${n % USERS}`,
  hostname: `host${n % HOSTS}.example.com`,
  code: 'ABCDEF-123456',
  reason: 'Certificate was renewed, ticket 4711',
  remoteAddr: '192.0.2.7',
  data: { requestHash: 'r'.repeat(43), rule: 'production', policyVersion: 'p'.repeat(43), n },
});

/** How many events are written a second, each in a transaction of its own that is durable, by many at a time. */
export async function appendPerSecond({ db, events }: App, count: number, atATime = 64): Promise<number> {
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: atATime }, async () => {
      while (next < count) {
        const n = next++;
        await db.transaction((work) => events.append(work, eventOf(n)));
      }
    }),
  );
  return count / ((performance.now() - started) / 1000);
}

/** Rows of one statement; SQLite binds at most 32,766 values. */
const ROWS = 500;

/** A log of many events, one each second, without the chain: it is read here, and not checked. */
export async function fillLog({ db, events }: App, count: number): Promise<{ firstAt: number; lastAt: number }> {
  const { seq } = await events.head();
  const [like] = await kysely(db.query).selectFrom('events').selectAll().where('seq', '=', seq).execute();
  if (!like) throw new Error('the log is empty');
  const firstAt = like.at - count * 1000;
  for (let from = 0; from < count; from += ROWS) {
    const rows = Array.from({ length: Math.min(ROWS, count - from) }, (_, offset) => {
      const n = from + offset;
      const { hostname, code, reason, remoteAddr, data, ...more } = eventOf(n);
      const facts = { hostname, code, reason, remote_addr: remoteAddr, data: JSON.stringify(data) };
      return { ...like, ...more, ...facts, seq: seq + 1 + n, at: firstAt + n * 1000 };
    });
    await db.transaction((work) =>
      kysely(work.query)
        .insertInto('events')
        .values(rows as never)
        .execute(),
    );
  }
  // What is written from here on comes behind them.
  await db.transaction((work) =>
    kysely(work.query)
      .updateTable('event_head')
      .set({ seq: seq + count })
      .execute(),
  );
  return { firstAt, lastAt: like.at };
}
