import { type Selectable, type SqlBool, sql } from 'kysely';
import { contains, jsonContains } from '../db/like.ts';
import { kysely, type Query } from '../db/query.ts';
import type { ChallengesTable } from '../db/schema.ts';

/** A place in the history, before the request that has it. By its time alone, one of two of a millisecond would be left out. */
export interface Place {
  createdAt: number;
  id: string;
}

/** Which requests of the past are asked for; null: any. */
export interface HistoryFilter {
  /** Older than this one. */
  before: Place | null;
  limit: number;
  status: ChallengesTable['status'] | null;
  search: string | null;
}

/** Some of the history, newest first. */
export interface HistoryPage {
  rows: Selectable<ChallengesTable>[];
  /** Where older ones begin; null when there are none, or none that could be found. */
  older: Place | null;
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
 * older is searched when the reader goes on from there.
 */
export const SEARCH_DEPTH = 4000;
/** How many accounts one statement asks for; each of them is one more place to read from. */
const ACCOUNTS_AT_ONCE = 20;

const NEWEST_FIRST = sql`created_at desc, id desc`;

/** Requests of one status, and of one account unless that is null, in the order of an index. */
function arm(status: ChallengesTable['status'], account: string | null, before: Place | null) {
  const conditions = [
    sql`status = ${sql.lit(status)}`,
    ...(status === 'pending' ? [] : [sql`status <> 'pending'`]),
    ...(account === null ? [] : [sql`username = ${account}`]),
    ...(before === null ? [] : [sql`(created_at, id) < (${before.createdAt}, ${before.id})`]),
  ];
  return sql`select id, created_at from challenges where ${sql.join(conditions, sql` and `)}`;
}

/** The ids of the newest requests that are asked for. Both databases merge what they read, and read no more than `limit`. */
function newest(accounts: readonly string[] | null, { before, status }: HistoryFilter, limit: number) {
  const statuses = status === null ? STATUSES : [status];
  const arms = statuses.flatMap((one) => (accounts ?? [null]).map((account) => arm(one, account, before)));
  return sql`${sql.join(arms, sql` union all `)} order by ${NEWEST_FIRST} limit ${limit}`;
}

const SEARCHED = ['hostname', 'username', 'user_code'];

function matches(search: string) {
  const found = [...SEARCHED.map((column) => contains(column, search)), jsonContains('record', search)];
  return sql<SqlBool>`(${sql.join(found, sql` or `)})`;
}

const placeOf = ({ id, created_at }: { id: string; created_at: number }): Place => ({ createdAt: created_at, id });

/** A page of the requests of a few accounts, or of everybody's. */
async function pageOf(query: Query, accounts: readonly string[] | null, filter: HistoryFilter): Promise<HistoryPage> {
  const { limit, search } = filter;
  const depth = search === null ? limit + 1 : SEARCH_DEPTH;
  const { rows } = await sql<Selectable<ChallengesTable>>`
    select * from challenges where id in (select id from (${newest(accounts, filter, depth)}) as newest)
    ${search === null ? sql`` : sql`and ${matches(search)}`}
    order by ${NEWEST_FIRST} limit ${limit + 1}
  `.execute(kysely(query));
  if (rows.length > limit) return { rows: rows.slice(0, limit), older: placeOf(rows[limit - 1]!) };
  if (search === null) return { rows, older: null };
  const [last] = (
    await sql<{ id: string; created_at: number }>`
      select id, created_at from (${newest(accounts, filter, depth)}) as newest
      order by ${NEWEST_FIRST} limit 1 offset ${depth - 1}
    `.execute(kysely(query))
  ).rows;
  return { rows, older: last ? placeOf(last) : null };
}

const isOlder = (one: Place, other: Place): boolean =>
  one.createdAt === other.createdAt ? one.id < other.id : one.createdAt < other.createdAt;

/** Pages of different accounts as one. Beyond where the first of them ends, the others have what it may have as well. */
function merged(pages: readonly HistoryPage[], limit: number): HistoryPage {
  const ends = pages.flatMap(({ older }) => older ?? []);
  const end = ends.reduce<Place | null>((newest, one) => (newest && isOlder(one, newest) ? newest : one), null);
  const rows = pages
    .flatMap((page) => page.rows)
    .filter((row) => end === null || !isOlder(placeOf(row), end))
    .sort((a, b) => (isOlder(placeOf(a), placeOf(b)) ? 1 : -1));
  return rows.length > limit ? { rows: rows.slice(0, limit), older: placeOf(rows[limit - 1]!) } : { rows, older: end };
}

/** Requests of any status, newest first. `accounts: null` means everybody's. */
export async function historyPage(
  query: Query,
  accounts: readonly string[] | null,
  filter: HistoryFilter,
): Promise<HistoryPage> {
  if (accounts === null) return pageOf(query, null, filter);
  const pages: HistoryPage[] = [];
  for (let from = 0; from < accounts.length; from += ACCOUNTS_AT_ONCE)
    pages.push(await pageOf(query, accounts.slice(from, from + ACCOUNTS_AT_ONCE), filter));
  return merged(pages, filter.limit);
}
