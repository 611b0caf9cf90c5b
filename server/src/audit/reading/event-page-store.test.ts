import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sql } from 'kysely';
import { EVENT_NAMES } from '#shared/event-outcome.ts';
import type { EventName, LoggedEvent } from '#shared/events.ts';
import type { Database } from '../../db/database.ts';
import { kysely, type Query } from '../../db/query.ts';
import { forEachDatabase, openTestPostgres } from '../../db/test-databases.ts';
import { whyNoPostgres } from '../../db/test-postgres.ts';
import { createEventAppender, type NewEvent } from '../../events/log.ts';
import { manualClock } from '../../platform/clock.ts';
import { type EventPlace, findEvents, newestPlace, type PageOfEvents, type WantedEvents } from './event-page-store.ts';

const EVERYTHING: WantedEvents = { usernames: null, host: null, events: null, from: null, to: null };
const KINDS: EventName[] = [
  'challenge_created',
  'challenge_approved',
  'user_logged_in',
  'host_reported',
  'login_failed',
];
const COUNT = 200;
const LIMIT = 17;

/** Events of 30 users on 4 hosts, of five kinds, several of them in each millisecond. */
async function fill(db: Database, start = 1_000_000): Promise<LoggedEvent[]> {
  const clock = manualClock(start);
  const log = createEventAppender({ db, clock, onAppended: () => {}, onError: () => {} });
  const written: LoggedEvent[] = [];
  for (let i = 0; i < COUNT; i += 10) {
    if (i % 30 === 0) clock.advance(7);
    // Another server's clock is behind.
    if (i === 100) clock.advance(-20);
    const events = Array.from({ length: 10 }, (_, n): NewEvent => {
      const k = (i + n) * 7919;
      return {
        event: KINDS[k % KINDS.length]!,
        username: `user${k % 30}`,
        hostname: k % 11 === 0 ? null : `host${k % 4}.example.com`,
      };
    });
    written.push(...(await db.transaction((work) => log.appendAll(work, events))));
  }
  return written;
}

async function readAll(
  db: Database,
  wanted: WantedEvents,
  page: Omit<PageOfEvents, 'beyond' | 'limit'>,
): Promise<{ seqs: number[]; pages: number }> {
  const seqs: number[] = [];
  let beyond: EventPlace | null = null;
  for (let pages = 1; ; pages += 1) {
    const found = await findEvents(db.query, wanted, { ...page, beyond, limit: LIMIT });
    assert.ok(found.events.length <= LIMIT);
    seqs.push(...found.events.map(({ seq }) => seq));
    if (found.next === null) return { seqs, pages };
    beyond = found.next;
  }
}

forEachDatabase('events are found', (open) => {
  test(`page by page, each of them once, whatever is asked for`, async (t) => {
    const db = await open(t);
    const all = await fill(db);
    const inOrder = [...all].sort((one, other) => one.at - other.at || one.seq - other.seq);
    const middle = inOrder[COUNT / 2]!.at;
    const users = Array.from({ length: 25 }, (_, n) => `user${n}`);
    const asked: [Partial<WantedEvents>, (event: LoggedEvent) => boolean][] = [
      [{}, () => true],
      [{ usernames: ['user3'] }, ({ username }) => username === 'user3'],
      [{ usernames: users }, ({ username }) => users.includes(username)],
      [{ usernames: [] }, () => false],
      [{ host: 'host1.example.com' }, ({ hostname }) => hostname === 'host1.example.com'],
      [{ events: ['login_failed'] }, ({ event }) => event === 'login_failed'],
      [
        { events: ['login_failed', 'user_logged_in'] },
        ({ event }) => ['login_failed', 'user_logged_in'].includes(event),
      ],
      [{ events: EVENT_NAMES.filter((name) => name !== 'login_failed') }, ({ event }) => event !== 'login_failed'],
      [{ events: [] }, () => false],
      [{ from: middle }, ({ at }) => at >= middle],
      [{ to: middle }, ({ at }) => at < middle],
      [
        { from: middle - 15, to: middle, host: 'host2.example.com' },
        ({ at, hostname }) => at >= middle - 15 && at < middle && hostname === 'host2.example.com',
      ],
      [
        { usernames: users, host: 'host3.example.com', events: ['challenge_created'] },
        ({ username, hostname, event }) =>
          users.includes(username) && hostname === 'host3.example.com' && event === 'challenge_created',
      ],
      [{ host: 'host0.example.com', events: ['passkey_added'] }, () => false],
    ];
    for (const [wanted, holds] of asked) {
      const expected = inOrder.filter(holds).map(({ seq }) => seq);
      // A depth of a few rows: what one look does not reach comes with the next.
      for (const depth of [undefined, 20]) {
        const how = depth === undefined ? {} : { depth };
        const oldest = await readAll(db, { ...EVERYTHING, ...wanted }, { order: 'oldest', ...how });
        assert.deepEqual(oldest.seqs, expected, JSON.stringify(wanted));
        const newest = await readAll(db, { ...EVERYTHING, ...wanted }, { order: 'newest', ...how });
        assert.deepEqual(newest.seqs, expected.toReversed(), JSON.stringify(wanted));
      }
    }
  });

  test(`no further than a place that was named`, async (t) => {
    const db = await open(t);
    assert.equal(await newestPlace(db.query), null);
    const all = await fill(db);
    const last = await newestPlace(db.query);
    await fill(db, 2_000_000);
    const { seqs } = await readAll(db, EVERYTHING, { order: 'oldest', last });
    assert.deepEqual(
      seqs.toSorted((one, other) => one - other),
      all.map(({ seq }) => seq),
    );
  });

  test(`a look goes through a bounded number of events, and says where it ended`, async (t) => {
    const db = await open(t);
    await fill(db);
    const nobody = { ...EVERYTHING, host: 'host0.example.com', events: ['passkey_added'] };
    const { seqs, pages } = await readAll(db, nobody, { order: 'newest', depth: 20 });
    assert.deepEqual(seqs, []);
    assert.ok(pages > 2, `${pages} looks`);
  });
});

const MANY = 20_000;

/** How many events this transaction has read, and those before it on its connection that were not counted yet. */
async function rowsRead(query: Query): Promise<number> {
  const { rows } = await sql<{ read: number }>`
    select idx_tup_fetch + seq_tup_read as read from pg_stat_xact_user_tables where relname = 'events'
  `.execute(kysely(query));
  return rows[0]!.read;
}

// SQLite has no choice: its plans are looked at as they are asked.
describe('a page of a long log on Postgres', { skip: whyNoPostgres() ?? false }, () => {
  test('costs what it shows, also where the database has not counted its rows yet', async (t) => {
    const db = await openTestPostgres(t);
    await db.transaction((work) =>
      sql`
        insert into events (seq, at, event, username, hostname, data, prev_hash, hash)
        select n, n / 10, 'challenge_created', 'user' || n % 2, 'host' || n % 2, '{}', '', '' from generate_series(1, ${MANY}::int) n
      `.execute(kysely(work.query)),
    );
    const last = await newestPlace(db.query);
    const middle = { at: MANY / 20, seq: MANY / 2 };
    for (const wanted of [EVERYTHING, { ...EVERYTHING, from: 1, to: MANY / 10 - 1 }]) {
      for (const page of [
        { order: 'oldest', beyond: { at: 0, seq: 1 }, last },
        { order: 'oldest', beyond: middle, last },
        { order: 'newest', beyond: middle },
      ] as const) {
        const read = await db.transaction(async (work) => {
          const before = await rowsRead(work.query);
          const found = await findEvents(work.query, wanted, { ...page, limit: LIMIT });
          assert.equal(found.events.length, LIMIT);
          return (await rowsRead(work.query)) - before;
        });
        assert.ok(read > LIMIT && read < 4 * LIMIT, `${read} rows read for ${JSON.stringify({ wanted, page })}`);
      }
    }
  });
});
