import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { LogDisputesTable } from '../db/schema.ts';
import { statement } from '../db/statement.ts';

/** An event as far as the fold over the log needs it. */
export interface Link {
  seq: number;
  prevHash: string;
  hash: string;
}

/** The links after `after` up to `until`, oldest first. */
export async function readLinks(query: Query, after: number, until: number): Promise<Link[]> {
  const rows = await kysely(query)
    .selectFrom('events')
    .select(['seq', 'prev_hash', 'hash'])
    .where('seq', '>', after)
    .where('seq', '<=', until)
    .orderBy('seq')
    .execute();
  return rows.map(({ seq, prev_hash, hash }) => ({ seq, prevHash: prev_hash, hash }));
}

/** The hash that is stored for an event; null when there is none. */
export async function readHash(query: Query, seq: number): Promise<string | null> {
  const row = await kysely(query).selectFrom('events').select('hash').where('seq', '=', seq).executeTakeFirst();
  return row?.hash ?? null;
}

/** Stored heads up to `seq`, newest first. Whether the log key signed them is for the caller to find out. */
export async function readStoredHeads(query: Query, seq: number, limit: number): Promise<string[]> {
  const rows = await kysely(query)
    .selectFrom('log_heads')
    .select('token')
    .where('seq', '<=', seq)
    .orderBy('seq', 'desc')
    .limit(limit)
    .execute();
  return rows.map(({ token }) => token);
}

/** Keeps a head; one that is there for the same event is replaced: it may be of another past. */
export async function storeHead(work: UnitOfWork, seq: number, token: string): Promise<void> {
  await kysely(work.query).deleteFrom('log_heads').where('seq', '>=', seq).execute();
  await kysely(work.query)
    .insertInto('log_heads')
    .values({ seq, token })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Stored epochs that began at or before an event, newest first. */
export async function readStoredEpochs(query: Query, seq: number): Promise<string[]> {
  const rows = await kysely(query)
    .selectFrom('log_epochs')
    .select('token')
    .where('seq', '<=', seq)
    .orderBy('at', 'desc')
    .execute();
  return rows.map(({ token }) => token);
}

export async function storeEpoch(work: UnitOfWork, epoch: { at: number; seq: number; token: string }): Promise<void> {
  await kysely(work.query).insertInto('log_epochs').values(epoch).execute();
}

const selectDisputes = statement((query, _: object) =>
  query
    .selectFrom('log_disputes')
    .innerJoin('hosts', 'hosts.id', 'log_disputes.host_id')
    .where('hosts.state', '<>', 'revoked')
    .selectAll('log_disputes')
    .orderBy('host_id'),
);

/** What hosts contradict now. One that was revoked says nothing any more. */
export const readDisputes = async (query: Query): Promise<LogDisputesTable[]> => (await selectDisputes(query, {})).rows;

export async function readDispute(query: Query, hostId: string): Promise<LogDisputesTable | null> {
  return (
    (await kysely(query).selectFrom('log_disputes').selectAll().where('host_id', '=', hostId).executeTakeFirst()) ??
    null
  );
}

export async function storeDispute(work: UnitOfWork, dispute: LogDisputesTable): Promise<void> {
  await forgetDispute(work, dispute.host_id);
  await kysely(work.query).insertInto('log_disputes').values(dispute).execute();
}

export async function forgetDispute(work: UnitOfWork, hostId: string): Promise<void> {
  await kysely(work.query).deleteFrom('log_disputes').where('host_id', '=', hostId).execute();
}
