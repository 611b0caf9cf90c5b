import { type Selectable, type SqlBool, sql } from 'kysely';
import type { TimeOrder } from '#shared/time-order.ts';
import { contains, jsonContains } from '../db/like.ts';
import { kysely, type Query } from '../db/query.ts';
import type { ChallengesTable } from '../db/schema.ts';

/** A place in the history: that of a request. By its time alone, one of two of a millisecond would be left out. */
export interface Place {
  createdAt: number;
  id: string;
}

/** Which requests of the past are asked for; null: any. */
export interface HistoryFilter {
  order: TimeOrder;
  /** It goes on behind this place; null: from the end of the history that comes first. */
  beyond: Place | null;
  limit: number;
  status: ChallengesTable['status'] | null;
  search: string | null;
}

/** Some of the history, in the order that was asked for. */
export interface HistoryPage {
  rows: Selectable<ChallengesTable>[];
  /** Where it goes on; null when there are no more, or none that could be found. */
  next: Place | null;
}

const STATUSES = Object.keys({
  pending: true,
  approved: true,
  denied: true,
  expired: true,
  cancelled: true,
} satisfies Record<ChallengesTable['status'], true>) as ChallengesTable['status'][];

/**
 * How many requests one search looks at. Text is found by reading, and who searches must not hold up who approves: what is
 * behind them is searched when the reader goes on from there.
 */
export const SEARCH_DEPTH = 4000;
/** How many accounts one statement asks for; each of them is one more place to read from. */
const ACCOUNTS_AT_ONCE = 20;

const IN_ORDER = { newest: sql`created_at desc, id desc`, oldest: sql`created_at, id` };

/** Requests of one status, and of one account unless that is null, in the order of an index. */
function arm(status: ChallengesTable['status'], account: string | null, { order, beyond }: HistoryFilter) {
  const conditions = [
    sql`status = ${sql.lit(status)}`,
    ...(status === 'pending' ? [] : [sql`status <> 'pending'`]),
    ...(account === null ? [] : [sql`username = ${account}`]),
    ...(beyond === null
      ? []
      : [sql`(created_at, id) ${sql.raw(order === 'newest' ? '<' : '>')} (${beyond.createdAt}, ${beyond.id})`]),
  ];
  return sql`select id, created_at from challenges where ${sql.join(conditions, sql` and `)}`;
}

/** The ids of the first requests that are asked for. Both databases merge what they read, and read no more than `limit`. */
function firstOf(accounts: readonly string[] | null, filter: HistoryFilter, limit: number) {
  const statuses = filter.status === null ? STATUSES : [filter.status];
  const arms = statuses.flatMap((one) => (accounts ?? [null]).map((account) => arm(one, account, filter)));
  return sql`${sql.join(arms, sql` union all `)} order by ${IN_ORDER[filter.order]} limit ${limit}`;
}

const SEARCHED = ['hostname', 'username', 'user_code'];

function matches(search: string) {
  const found = [...SEARCHED.map((column) => contains(column, search)), jsonContains('record', search)];
  return sql<SqlBool>`(${sql.join(found, sql` or `)})`;
}

const placeOf = ({ id, created_at }: { id: string; created_at: number }): Place => ({ createdAt: created_at, id });

/** A page of the requests of a few accounts, or of everybody's. */
async function pageOf(query: Query, accounts: readonly string[] | null, filter: HistoryFilter): Promise<HistoryPage> {
  const { limit, order, search } = filter;
  const depth = search === null ? limit + 1 : SEARCH_DEPTH;
  const { rows } = await sql<Selectable<ChallengesTable>>`
    select * from challenges where id in (select id from (${firstOf(accounts, filter, depth)}) as looked)
    ${search === null ? sql`` : sql`and ${matches(search)}`}
    order by ${IN_ORDER[order]} limit ${limit + 1}
  `.execute(kysely(query));
  if (rows.length > limit) return { rows: rows.slice(0, limit), next: placeOf(rows[limit - 1]!) };
  if (search === null) return { rows, next: null };
  const [last] = (
    await sql<{ id: string; created_at: number }>`
      select id, created_at from (${firstOf(accounts, filter, depth)}) as looked
      order by ${IN_ORDER[order]} limit 1 offset ${depth - 1}
    `.execute(kysely(query))
  ).rows;
  return { rows, next: last ? placeOf(last) : null };
}

const isOlder = (one: Place, other: Place): boolean =>
  one.createdAt === other.createdAt ? one.id < other.id : one.createdAt < other.createdAt;

/** Pages of different accounts as one. Beyond where the first of them ends, the others have what it may have as well. */
function merged(pages: readonly HistoryPage[], { limit, order }: HistoryFilter): HistoryPage {
  const comesAfter = (one: Place, other: Place): boolean =>
    order === 'newest' ? isOlder(one, other) : isOlder(other, one);
  const ends = pages.flatMap(({ next }) => next ?? []);
  const end = ends.reduce<Place | null>((first, one) => (first && comesAfter(one, first) ? first : one), null);
  const rows = pages
    .flatMap((page) => page.rows)
    .filter((row) => end === null || !comesAfter(placeOf(row), end))
    .sort((a, b) => (comesAfter(placeOf(a), placeOf(b)) ? 1 : -1));
  return rows.length > limit ? { rows: rows.slice(0, limit), next: placeOf(rows[limit - 1]!) } : { rows, next: end };
}

/** Requests of any status. `accounts: null` means everybody's. */
export async function historyPage(
  query: Query,
  accounts: readonly string[] | null,
  filter: HistoryFilter,
): Promise<HistoryPage> {
  if (accounts === null) return pageOf(query, null, filter);
  const pages: HistoryPage[] = [];
  for (let from = 0; from < accounts.length; from += ACCOUNTS_AT_ONCE)
    pages.push(await pageOf(query, accounts.slice(from, from + ACCOUNTS_AT_ONCE), filter));
  return merged(pages, filter);
}
