import type { Selectable } from 'kysely';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { BreakGlassHostsTable, EscrowRecordsTable } from '../db/schema.ts';
import { statement } from '../db/statement.ts';

export type BreakGlassHost = Selectable<BreakGlassHostsTable>;
export type EscrowRecord = Selectable<EscrowRecordsTable>;

export async function findBreakGlassHost(query: Query, hostId: string): Promise<BreakGlassHost | null> {
  const select = kysely(query).selectFrom('break_glass_hosts').selectAll().where('host_id', '=', hostId);
  return (await select.executeTakeFirst()) ?? null;
}

export async function listBreakGlassHosts(query: Query): Promise<BreakGlassHost[]> {
  return kysely(query).selectFrom('break_glass_hosts').selectAll().execute();
}

const selectPasswordTimes = statement((query, _: object) =>
  query
    .selectFrom('break_glass_hosts')
    .select('created_at')
    .where('created_at', 'is not', null)
    .$narrowType<{ created_at: number }>(),
);

/** When the password of each host that has one was made. */
export const passwordTimes = async (query: Query): Promise<number[]> =>
  (await selectPasswordTimes(query, {})).rows.map(({ created_at }) => created_at);

/** Writes what is given; the first time with everything else unknown. */
export async function putBreakGlassHost(
  work: UnitOfWork,
  hostId: string,
  set: Partial<Omit<BreakGlassHostsTable, 'host_id'>>,
): Promise<void> {
  const unknown = {
    enabled: 1,
    created_at: null,
    type: null,
    escrow_id: null,
    problem: null,
    reported_at: null,
    rotate_before: null,
    journal_hash: null,
  };
  await kysely(work.query)
    .insertInto('break_glass_hosts')
    .values({ host_id: hostId, ...unknown, ...set })
    .onConflict((conflict) => conflict.column('host_id').doUpdateSet(set))
    .execute();
}

/** False when this use was reported before. */
export async function insertUse(work: UnitOfWork, use: { id: string; hostId: string; at: number }): Promise<boolean> {
  const result = await kysely(work.query)
    .insertInto('break_glass_uses')
    .values({ id: use.id, host_id: use.hostId, at: use.at })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

export async function findEscrowRecord(query: Query, id: string): Promise<EscrowRecord | null> {
  return (await kysely(query).selectFrom('escrow_records').selectAll().where('id', '=', id).executeTakeFirst()) ?? null;
}

/** What is kept of a host, newest first. */
export async function escrowRecordsOf(query: Query, hostId: string): Promise<EscrowRecord[]> {
  return kysely(query)
    .selectFrom('escrow_records')
    .selectAll()
    .where('host_id', '=', hostId)
    .orderBy('kept_at', 'desc')
    .orderBy('id')
    .execute();
}

export async function listEscrowRecords(query: Query): Promise<EscrowRecord[]> {
  return kysely(query).selectFrom('escrow_records').selectAll().orderBy('id').execute();
}

/** False when there is one of this id already. */
export async function insertEscrowRecord(work: UnitOfWork, record: EscrowRecordsTable): Promise<boolean> {
  const result = await kysely(work.query)
    .insertInto('escrow_records')
    .values(record)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

export async function moveEscrowRecord(work: UnitOfWork, id: string, location: string): Promise<void> {
  await kysely(work.query).updateTable('escrow_records').set({ location }).where('id', '=', id).execute();
}

export async function dateEscrowRecord(work: UnitOfWork, id: string, keptAt: number): Promise<void> {
  await kysely(work.query).updateTable('escrow_records').set({ kept_at: keptAt }).where('id', '=', id).execute();
}

export async function deleteEscrowRecord(work: UnitOfWork, id: string): Promise<void> {
  await kysely(work.query).deleteFrom('escrow_records').where('id', '=', id).execute();
}
