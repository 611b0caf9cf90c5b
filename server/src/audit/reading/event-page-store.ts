import { type RawBuilder, type Selectable, type SqlBool, sql } from 'kysely';
import type { LoggedEvent } from '#shared/events.ts';
import type { TimeOrder } from '#shared/time-order.ts';
import { kysely, type Query } from '../../db/query.ts';
import type { EventsTable } from '../../db/schema.ts';
import { fromRow, LAST_MS } from '../../events/store.ts';

/** A place in the log by time. By the time alone, one of two events of a millisecond would be left out. */
export interface EventPlace {
  readonly at: number;
  readonly seq: number;
}

/** Which events are asked for; null: any. */
export interface WantedEvents {
  readonly usernames: readonly string[] | null;
  readonly host: string | null;
  readonly events: readonly string[] | null;
  /** The first millisecond, and the first one after the last. */
  readonly from: number | null;
  readonly to: number | null;
}

export interface PageOfEvents {
  readonly order: TimeOrder;
  /** It goes on behind this place; null: from the end of the log that comes first. */
  readonly beyond: EventPlace | null;
  /** It ends with this place. */
  readonly last?: EventPlace | null;
  readonly limit: number;
  /** {@link LOOK_DEPTH} unless it says otherwise. */
  readonly depth?: number;
}

export interface FoundEvents {
  readonly events: LoggedEvent[];
  /** Where it goes on; null: there are no more. */
  readonly next: EventPlace | null;
}

/**
 * How many events one question looks at where no index has them together: who reads must not hold up who approves. What is
 * behind them is looked at when the reader goes on from there.
 */
export const LOOK_DEPTH = 4000;
/** How many names one statement asks for; each of them is one more place to read from. */
const NAMES_AT_ONCE = 20;

const all = (conditions: readonly RawBuilder<SqlBool>[]): RawBuilder<SqlBool> =>
  conditions.length === 0 ? sql<SqlBool>`1 = 1` : sql.join(conditions, sql` and `);
const isOneOf = (column: string, values: readonly string[]) =>
  sql<SqlBool>`${sql.ref(column)} in (${sql.join(values)})`;

/**
 * The index by which events are found: that of a user has the fewest of them, mostly, and that of a kind the most. Of many
 * kinds there are so many that they are come across by time.
 */
function chosenIndex({ usernames, host, events }: WantedEvents): {
  column: string | null;
  values: readonly (string | null)[];
} {
  if (usernames !== null) return { column: 'username', values: usernames };
  if (host !== null) return { column: 'hostname', values: [host] };
  const isFew = events !== null && events.length <= NAMES_AT_ONCE;
  return isFew ? { column: 'event', values: events } : { column: null, values: [null] };
}

/** What the index does not say already. */
function furtherConditions(wanted: WantedEvents, column: string | null): RawBuilder<SqlBool>[] {
  return [
    ...(wanted.host === null || column === 'hostname' ? [] : [sql<SqlBool>`hostname = ${wanted.host}`]),
    ...(wanted.events === null || column === 'event' ? [] : [isOneOf('event', wanted.events)]),
  ];
}

/** Where a page begins or ends in the order of time. */
interface Bound extends EventPlace {
  readonly itself: boolean;
}

/** Of two bounds the one that leaves less. @param side 1: where the first event is, -1: where the last one is */
function tighter(side: 1 | -1, one: Bound, other: EventPlace | null | undefined, itself: boolean): Bound {
  if (!other) return one;
  const order = compare(one, other) * side;
  return order > 0 || (order === 0 && !one.itself) ? one : { ...other, itself };
}

/**
 * The first and the last place of a page. One condition for each, and as a row: of two numbers around a time Postgres
 * believes that little is between them where it has counted nothing, and of more conditions that next to nothing is left.
 * Then it reads all that is left to put it in order, page after page.
 */
function boundsOf({ from, to }: WantedEvents, { order, beyond, last }: PageOfEvents): { first: Bound; end: Bound } {
  const first: Bound = { at: from ?? 0, seq: 0, itself: true };
  const end: Bound = { at: to === null ? LAST_MS : to - 1, seq: Number.MAX_SAFE_INTEGER, itself: true };
  return order === 'oldest'
    ? { first: tighter(1, first, beyond, false), end: tighter(-1, end, last, true) }
    : { first: tighter(1, first, last, true), end: tighter(-1, end, beyond, false) };
}

async function pageOf(
  query: Query,
  wanted: WantedEvents,
  values: readonly (string | null)[],
  page: PageOfEvents,
): Promise<FoundEvents> {
  const { column } = chosenIndex(wanted);
  const { limit, order, depth: deepest = LOOK_DEPTH } = page;
  const inOrder = order === 'newest' ? sql`at desc, seq desc` : sql`at, seq`;
  const further = furtherConditions(wanted, column);
  const depth = further.length === 0 ? limit + 1 : Math.max(deepest, limit + 1);
  const { first, end: until } = boundsOf(wanted, page);
  const arms = values.map((value) => {
    const conditions = [
      ...(column === null ? [] : [sql<SqlBool>`${sql.ref(column)} = ${value}`]),
      // Also where all times are meant: without a condition there is nothing to begin with in the order of the index.
      sql<SqlBool>`(at, seq) ${sql.raw(first.itself ? '>=' : '>')} (${first.at}, ${first.seq})`,
      sql<SqlBool>`(at, seq) ${sql.raw(until.itself ? '<=' : '<')} (${until.at}, ${until.seq})`,
    ];
    return (columns: RawBuilder<unknown>) => sql`select ${columns} from events where ${all(conditions)}`;
  });
  /** What is looked at: both databases merge what they read from the index, and read no more than `count`. */
  const looked = (columns: string, count: number) => {
    const parts = sql.join(
      arms.map((arm) => arm(sql.raw(columns))),
      sql` union all `,
    );
    return sql<Selectable<EventsTable>>`${parts} order by ${inOrder} limit ${count}`;
  };
  const asked =
    further.length === 0
      ? looked('*', limit + 1)
      : sql<Selectable<EventsTable>>`
          select * from (${looked('*', depth)}) as looked where ${all(further)} order by ${inOrder} limit ${limit + 1}
        `;
  const { rows } = await asked.execute(kysely(query));
  const events = rows.slice(0, limit).map(fromRow);
  if (rows.length > limit) return { events, next: placeOf(rows[limit - 1]!) };
  if (further.length === 0) return { events, next: null };
  const [end] = (await sql<EventPlace>`${looked('at, seq', 1)} offset ${depth - 1}`.execute(kysely(query))).rows;
  return { events, next: end ? placeOf(end) : null };
}

const placeOf = ({ at, seq }: EventPlace): EventPlace => ({ at, seq });

const compare = (one: EventPlace, other: EventPlace): number => one.at - other.at || one.seq - other.seq;

/** Pages of different names as one. Beyond where the first of them ends, the others have what it may have as well. */
function merged(pages: readonly FoundEvents[], { limit, order }: PageOfEvents): FoundEvents {
  const inOrder = (one: EventPlace, other: EventPlace) =>
    order === 'newest' ? compare(other, one) : compare(one, other);
  const end = pages.flatMap(({ next }) => next ?? []).sort(inOrder)[0] ?? null;
  const events = pages
    .flatMap((page) => page.events)
    .filter((event) => end === null || inOrder(event, end) <= 0)
    .sort(inOrder);
  return events.length > limit
    ? { events: events.slice(0, limit), next: placeOf(events[limit - 1]!) }
    : { events, next: end };
}

/** Some of the events that are asked for, in the order of their times. */
export async function findEvents(query: Query, wanted: WantedEvents, page: PageOfEvents): Promise<FoundEvents> {
  const { values } = chosenIndex(wanted);
  if (wanted.events?.length === 0) return { events: [], next: null };
  const pages: FoundEvents[] = [];
  for (let from = 0; from < values.length; from += NAMES_AT_ONCE)
    pages.push(await pageOf(query, wanted, values.slice(from, from + NAMES_AT_ONCE), page));
  return pages.length === 1 ? pages[0]! : merged(pages, page);
}

/** No server writes one; more than a few of them are somebody's work, and the log says where it was broken. */
const MOST_WITHOUT_TIME = 50;

/** Events of which what is stored as their time is none. No list in the order of time has them. */
export async function eventsWithoutTime(query: Query, wanted: WantedEvents): Promise<LoggedEvent[]> {
  const { from, to, usernames, events } = wanted;
  if (from !== null || to !== null || usernames?.length === 0 || events?.length === 0) return [];
  const conditions = all([
    ...(usernames === null ? [] : [isOneOf('username', usernames)]),
    ...furtherConditions(wanted, null),
  ]);
  const found: LoggedEvent[] = [];
  for (const outside of [sql<SqlBool>`at > ${LAST_MS}`, sql<SqlBool>`at < 0`]) {
    const { rows } = await sql<Selectable<EventsTable>>`
      select * from events where ${outside} and ${conditions} limit ${MOST_WITHOUT_TIME}
    `.execute(kysely(query));
    found.push(...rows.map(fromRow));
  }
  return found.sort((one, other) => one.seq - other.seq);
}

/** The newest event by time; null: there is none. */
export async function newestPlace(query: Query): Promise<EventPlace | null> {
  const { rows } = await sql<EventPlace>`
    select at, seq from events where at >= 0 and at <= ${LAST_MS} order by at desc, seq desc limit 1
  `.execute(kysely(query));
  return rows[0] ? placeOf(rows[0]) : null;
}

export async function findEvent(query: Query, seq: number): Promise<LoggedEvent | null> {
  const row = await kysely(query).selectFrom('events').selectAll().where('seq', '=', seq).executeTakeFirst();
  return row ? fromRow(row) : null;
}

/** What belongs to one request, oldest first. */
export async function eventsOfRequest(query: Query, challengeId: string, limit: number): Promise<LoggedEvent[]> {
  const rows = await kysely(query)
    .selectFrom('events')
    .selectAll()
    .where('challenge_id', '=', challengeId)
    .orderBy('seq')
    .limit(limit)
    .execute();
  return rows.map(fromRow);
}
