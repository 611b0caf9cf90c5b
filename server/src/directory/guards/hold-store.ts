import type { Selectable } from 'kysely';
import type { UnitOfWork } from '../../db/database.ts';
import { kysely, type Query } from '../../db/query.ts';
import type { DirectoryHoldsTable } from '../../db/schema.ts';

export type HoldRow = Selectable<DirectoryHoldsTable>;

export async function listHolds(query: Query): Promise<HoldRow[]> {
  return kysely(query).selectFrom('directory_holds').selectAll().orderBy('held_at').orderBy('id').execute();
}

/** False when it is there already. */
export async function insertHold(work: UnitOfWork, row: HoldRow): Promise<boolean> {
  const result = await kysely(work.query)
    .insertInto('directory_holds')
    .values(row)
    .onConflict((conflict) => conflict.column('digest').doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** The change is not asked for any more. */
export async function deleteHold(work: UnitOfWork, id: string): Promise<void> {
  await kysely(work.query).deleteFrom('directory_holds').where('id', '=', id).execute();
}

/** Answers a hold. Null when there is none of that id and digest in that state. */
export async function decideHold(
  work: UnitOfWork,
  hold: { id: string; digest: string; state: 'open' | 'rejected' },
  decision: { state: 'confirmed' | 'rejected'; at: number; by: string },
): Promise<HoldRow | null> {
  return (
    (await kysely(work.query)
      .updateTable('directory_holds')
      .set({ state: decision.state, decided_at: decision.at, decided_by: decision.by })
      .where('id', '=', hold.id)
      .where('digest', '=', hold.digest)
      .where('state', '=', hold.state)
      .returningAll()
      .executeTakeFirst()) ?? null
  );
}
