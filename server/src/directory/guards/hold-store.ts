import { type Selectable, sql } from 'kysely';
import type { UnitOfWork } from '../../db/database.ts';
import { kysely, type Query } from '../../db/query.ts';
import type { DirectoryHoldsTable } from '../../db/schema.ts';
import type { HeldChange } from './held-change.ts';

export type HoldRow = Selectable<DirectoryHoldsTable>;

export async function listHolds(query: Query): Promise<HoldRow[]> {
  return kysely(query).selectFrom('directory_holds').selectAll().orderBy('held_at').orderBy('id').execute();
}

/** What is at stake, by which changes are put in order: the least number first. */
const GRAVITY: Record<HeldChange['kind'], number> = {
  mass_change: 0,
  power_rule: 1,
  power_member: 2,
  power_name: 3,
  host_report: 4,
  new_host: 5,
  binding: 6,
};

/**
 * Changes for an administrator to look at: those that wait before those that were refused, and what gives power before
 * what does not. Who may rename people can make any number of changes wait, and one that gives power must not be behind them.
 */
export async function listGravestHolds(query: Query, limit: number): Promise<HoldRow[]> {
  const kinds = Object.entries(GRAVITY).map(([kind, gravity]) => sql`when ${kind} then ${sql.lit(gravity)}`);
  return kysely(query)
    .selectFrom('directory_holds')
    .selectAll()
    .orderBy(sql`case state when 'open' then 0 else 1 end`)
    .orderBy(sql`case kind ${sql.join(kinds, sql` `)} else 0 end`)
    .orderBy('held_at')
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** How many changes wait for a decision. */
export async function countOpenHolds(query: Query): Promise<number> {
  const row = await kysely(query)
    .selectFrom('directory_holds')
    .select((e) => e.fn.countAll().as('count'))
    .where('state', '=', 'open')
    .executeTakeFirst();
  return Number(row?.count ?? 0);
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
  hold: { id: string; digest: string; state: HoldRow['state'] },
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
