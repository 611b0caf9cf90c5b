import { sql } from 'kysely';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { NotifyAttemptsTable, NotifyDeliveriesTable } from '../db/schema.ts';
import { isAmong, statement } from '../db/statement.ts';

export type Queued = NotifyDeliveriesTable;

/** As literals: a bound value would keep both databases from using the indexes of these rows. */
const QUEUED = sql.lit('queued' as const);
const DEAD = sql.lit('dead' as const);

/** SQLite binds at most 32,766 values in a statement. */
const AT_ONCE = 500;

function* parts<T>(list: readonly T[]): Generator<T[]> {
  for (let at = 0; at < list.length; at += AT_ONCE) yield list.slice(at, at + AT_ONCE);
}

/** Writes what is to be told. What is there already stays as it is: whoever routes an event again changes nothing. */
export async function insertDeliveries(work: UnitOfWork, deliveries: readonly NotifyDeliveriesTable[]): Promise<void> {
  for (const some of parts(deliveries)) {
    await kysely(work.query)
      .insertInto('notify_deliveries')
      .values(some)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

const selectQueuedChannels = statement((query, _: object) =>
  query
    .selectFrom('notify_deliveries')
    .select((e) => ['channel', e.fn.min('due_at').as('due_at')])
    .where('status', '=', QUEUED)
    .groupBy('channel'),
);

/** Channels for which something waits, and when the first of it is due. */
export async function queuedChannels(query: Query): Promise<{ channel: string; dueAt: number }[]> {
  const { rows } = await selectQueuedChannels(query, {});
  return rows.map(({ channel, due_at }) => ({ channel, dueAt: Number(due_at) }));
}

/** What is due on a channel: what has been due for longest first, of the same moment in the order of the log. */
export async function dueOn(query: Query, channel: string, now: number, limit: number): Promise<Queued[]> {
  return kysely(query)
    .selectFrom('notify_deliveries')
    .selectAll()
    .where('status', '=', QUEUED)
    .where('channel', '=', channel)
    .where('due_at', '<=', now)
    .orderBy('due_at')
    .orderBy('seq')
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Requests that something announces which waits for a channel. */
export async function announcedOn(query: Query, channel: string): Promise<string[]> {
  const rows = await kysely(query)
    .selectFrom('notify_deliveries')
    .select('announces')
    .distinct()
    .where('status', '=', QUEUED)
    .where('channel', '=', channel)
    .where('announces', 'is not', null)
    .execute();
  return rows.flatMap(({ announces }) => announces ?? []);
}

/** What announces one of some requests, and waits for a channel. */
export async function announcementsOn(query: Query, channel: string, requests: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const some of parts(requests)) {
    const rows = await kysely(query)
      .selectFrom('notify_deliveries')
      .select('id')
      .where('status', '=', QUEUED)
      .where('channel', '=', channel)
      .where('announces', 'in', some)
      .execute();
    found.push(...rows.map(({ id }) => id));
  }
  return found;
}

/** What waits for a channel, and was due before a moment. */
export async function waitingSince(query: Query, channel: string, before: number): Promise<string[]> {
  const rows = await kysely(query)
    .selectFrom('notify_deliveries')
    .select('id')
    .where('status', '=', QUEUED)
    .where('channel', '=', channel)
    .where('due_at', '<', before)
    .execute();
  return rows.map(({ id }) => id);
}

/** Nobody is told of these. @returns how many were still queued */
export async function skipQueued(
  work: UnitOfWork,
  ids: readonly string[],
  reason: string,
  now: number,
): Promise<number> {
  let ended = 0;
  for (const some of parts(ids)) {
    const result = await kysely(work.query)
      .updateTable('notify_deliveries')
      .set({ status: 'skipped', reason, ended_at: now })
      .where('id', 'in', some)
      .where('status', '=', QUEUED)
      .executeTakeFirst();
    ended += Number(result.numUpdatedRows);
  }
  return ended;
}

/** Nothing of what waits for a channel will be told. @returns how many these were */
export async function skipChannel(work: UnitOfWork, channel: string, reason: string, now: number): Promise<number> {
  const result = await kysely(work.query)
    .updateTable('notify_deliveries')
    .set({ status: 'skipped', reason, ended_at: now })
    .where('status', '=', QUEUED)
    .where('channel', '=', channel)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/** What comes of an attempt. */
export type Noted =
  | { readonly status: 'delivered' | 'dead'; readonly reason: string | null; readonly at: number }
  /** It is tried again, not before `dueAt`. */
  | { readonly status: 'queued'; readonly reason: string; readonly dueAt: number };

/** Notes what came of the next attempt of one that is as it was read. @returns false when it is not, and nothing was noted */
export async function noteAttempt(
  work: UnitOfWork,
  { id, attempts, attempts_left }: Pick<Queued, 'id' | 'attempts' | 'attempts_left'>,
  noted: Noted,
  attempt: Omit<NotifyAttemptsTable, 'delivery_id' | 'number'>,
): Promise<boolean> {
  const number = attempts + 1;
  const result = await kysely(work.query)
    .updateTable('notify_deliveries')
    .set({
      status: noted.status,
      reason: noted.reason,
      attempts: number,
      attempts_left: attempts_left - 1,
      ...(noted.status === 'queued' ? { due_at: noted.dueAt } : { ended_at: noted.at }),
    })
    .where('id', '=', id)
    .where('status', '=', QUEUED)
    .where('attempts', '=', attempts)
    .executeTakeFirst();
  if (result.numUpdatedRows !== 1n) return false;
  await kysely(work.query)
    .insertInto('notify_attempts')
    .values({ delivery_id: id, number, ...attempt })
    .execute();
  return true;
}

const updateDue = statement((query, given: { requests: string; now: number }, { driver }) =>
  query
    .updateTable('notify_deliveries')
    .set({ due_at: given.now })
    .where('status', '=', QUEUED)
    .where(isAmong(sql.ref('announces'), given.requests, driver))
    .where('due_at', '>', given.now),
);

/** What announces requests that are over, and is not due yet, is looked at now. @returns how many deliveries these are */
export async function hurry(work: UnitOfWork, requests: readonly string[], now: number): Promise<number> {
  return Number((await updateDue(work.query, { requests: JSON.stringify(requests), now })).numAffectedRows ?? 0);
}

/** One delivery stands for others from here on. */
export async function foldInto(work: UnitOfWork, into: string, ids: readonly string[], now: number): Promise<void> {
  for (const some of parts(ids)) {
    await kysely(work.query)
      .updateTable('notify_deliveries')
      .set({ status: 'folded', folded_into: into, ended_at: now })
      .where('id', 'in', some)
      .where('status', '=', QUEUED)
      .execute();
  }
}

/** What one stood for that will not be told itself is queued again. @returns how many these are */
export async function unfold(work: UnitOfWork, from: readonly string[]): Promise<number> {
  let queued = 0;
  for (const some of parts(from)) {
    const result = await kysely(work.query)
      .updateTable('notify_deliveries')
      .set({ status: 'queued', folded_into: null, ended_at: null })
      .where('folded_into', 'in', some)
      .where('status', '=', 'folded')
      .executeTakeFirst();
    queued += Number(result.numUpdatedRows);
  }
  return queued;
}

/** For how many others each of these stands; those that stand for none are left out. */
export async function foldedCounts(query: Query, ids: readonly string[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const some of parts(ids)) {
    const rows = await kysely(query)
      .selectFrom('notify_deliveries')
      .select((e) => ['folded_into', e.fn.countAll<number>().as('n')])
      .where('folded_into', 'in', some)
      .groupBy('folded_into')
      .execute();
    for (const { folded_into, n } of rows) counts.set(folded_into!, Number(n));
  }
  return counts;
}

/** Whose deliveries are asked for, and which. */
export interface DeliveryFilter {
  readonly channel: string | null;
  readonly status: NotifyDeliveriesTable['status'] | null;
  /** Those that one event led to; null: of all events. */
  readonly seq?: number | null;
  /** Of this person's channels alone; null: of all. */
  readonly person: string | null;
}

/** A place in the list: behind it, older ones. */
export interface DeliveryPlace {
  readonly createdAt: number;
  readonly id: string;
}

/** Newest first. */
export async function listDeliveries(
  query: Query,
  { channel, status, seq = null, person }: DeliveryFilter,
  { before, limit }: { before: DeliveryPlace; limit: number },
): Promise<NotifyDeliveriesTable[]> {
  let select = kysely(query)
    .selectFrom('notify_deliveries')
    .selectAll()
    .where('created_at', '<=', before.createdAt)
    .where((e) => e.or([e('created_at', '<', before.createdAt), e('id', '<', before.id)]));
  if (channel !== null) select = select.where('channel', '=', channel);
  if (seq !== null) select = select.where('seq', '=', seq);
  if (status === 'queued') select = select.where('status', '=', QUEUED);
  else if (status !== null) select = select.where('status', '=', status).where('status', '<>', QUEUED);
  if (person !== null) select = select.where('person', '=', person);
  return select.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
}

/** Everything that an event led to. */
export async function deliveriesOf(query: Query, seq: number): Promise<NotifyDeliveriesTable[]> {
  const rows = await kysely(query).selectFrom('notify_deliveries').selectAll().where('seq', '=', seq).execute();
  return rows.sort((a, b) => a.step - b.step || (a.channel < b.channel ? -1 : 1));
}

/** What announced a request on some channels since then, and was delivered. */
export async function announcementsDelivered(
  query: Query,
  channels: readonly string[],
  { challengeId, since }: { challengeId: string; since: number },
): Promise<NotifyDeliveriesTable[]> {
  const found: NotifyDeliveriesTable[] = [];
  for (const some of parts(channels)) {
    const rows = await kysely(query)
      .selectFrom('notify_deliveries')
      .selectAll()
      .where('channel', 'in', some)
      .where('created_at', '>=', since)
      .where('announces', '=', challengeId)
      .where('status', '=', 'delivered')
      .execute();
    found.push(...rows);
  }
  return found;
}

export async function findDelivery(query: Query, id: string): Promise<NotifyDeliveriesTable | null> {
  return (
    (await kysely(query).selectFrom('notify_deliveries').selectAll().where('id', '=', id).executeTakeFirst()) ?? null
  );
}

/** The attempts of a delivery, first to last. */
export async function attemptsOf(query: Query, id: string): Promise<NotifyAttemptsTable[]> {
  return kysely(query)
    .selectFrom('notify_attempts')
    .selectAll()
    .where('delivery_id', '=', id)
    .orderBy('number')
    .execute();
}

/** Which dead letters are meant: one, or all of a channel. */
export type WhichDead = { readonly id: string } | { readonly channel: string };

/** They are queued again, for so many attempts. @returns how many there were */
export async function retryDead(
  work: UnitOfWork,
  which: WhichDead,
  { now, attempts }: { now: number; attempts: number },
): Promise<number> {
  const update = kysely(work.query)
    .updateTable('notify_deliveries')
    .set({ status: 'queued', due_at: now, ended_at: null, attempts_left: attempts })
    .where('status', '=', DEAD);
  const result = await ('id' in which
    ? update.where('id', '=', which.id)
    : update.where('channel', '=', which.channel)
  ).executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/** They are given up. @returns how many there were */
export async function discardDead(work: UnitOfWork, which: WhichDead, now: number): Promise<number> {
  const update = kysely(work.query)
    .updateTable('notify_deliveries')
    .set({ status: 'discarded', ended_at: now })
    .where('status', '=', DEAD);
  const result = await ('id' in which
    ? update.where('id', '=', which.id)
    : update.where('channel', '=', which.channel)
  ).executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/**
 * A channel whose deliveries are asked for. A name is free again once its channel is gone: what was for another one's is
 * nothing that whoever has the name now is to see.
 */
export interface Whose {
  readonly name: string;
  /** The person whom it reaches; null: it is shared. */
  readonly owner: string | null;
}

const personOf = ({ owner }: Whose): string => owner ?? '';

/** How many dead letters a channel has, counted up to `limit`. */
export async function countDead(query: Query, channel: Whose, limit: number): Promise<number> {
  const row = await kysely(query)
    .selectFrom((e) =>
      e
        .selectFrom('notify_deliveries')
        .select('id')
        .where('status', '=', DEAD)
        .where('channel', '=', channel.name)
        .where('person', '=', personOf(channel))
        .limit(limit)
        .as('dead'),
    )
    .select((e) => e.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

/** What waits for a channel, counted up to `limit`, and since when the first of it is due; null: nothing. */
export async function waitingOn(
  query: Query,
  channel: Whose,
  limit: number,
): Promise<{ count: number; since: number } | null> {
  const row = await kysely(query)
    .selectFrom((e) =>
      e
        .selectFrom('notify_deliveries')
        .select('due_at')
        .where('status', '=', QUEUED)
        .where('channel', '=', channel.name)
        .where('person', '=', personOf(channel))
        .orderBy('due_at')
        .limit(limit)
        .as('waiting'),
    )
    .select((e) => [e.fn.countAll<number>().as('n'), e.fn.min('due_at').as('since')])
    .executeTakeFirstOrThrow();
  return Number(row.n) === 0 ? null : { count: Number(row.n), since: Number(row.since) };
}

/** The newest of a channel that ended so; null: none. */
export async function newestOn(
  query: Query,
  channel: Whose,
  wanted: 'delivered' | 'failed',
): Promise<Pick<NotifyDeliveriesTable, 'created_at' | 'ended_at' | 'reason'> | null> {
  // Most of what is on a channel has been delivered: the newest that has or has not is near.
  const rows = await kysely(query)
    .selectFrom('notify_deliveries')
    .select(['status', 'created_at', 'ended_at', 'reason', 'attempts'])
    .where('channel', '=', channel.name)
    .where('person', '=', personOf(channel))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(200)
    .execute();
  return (
    rows.find(({ status, attempts }) =>
      wanted === 'delivered' ? status === 'delivered' : status === 'dead' || (status === 'queued' && attempts > 0),
    ) ?? null
  );
}

/** Forgets what ended long ago, some at a time. @returns how many these were */
export async function forgetOld(work: UnitOfWork, before: number, limit: number): Promise<number> {
  const rows = await kysely(work.query)
    .selectFrom('notify_deliveries')
    .select('id')
    .where('created_at', '<', before)
    .where('ended_at', 'is not', null)
    .orderBy('created_at')
    .orderBy('id')
    .limit(Math.min(limit, AT_ONCE))
    .execute();
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return 0;
  await kysely(work.query).deleteFrom('notify_attempts').where('delivery_id', 'in', ids).execute();
  await kysely(work.query).deleteFrom('notify_deliveries').where('id', 'in', ids).execute();
  return ids.length;
}
