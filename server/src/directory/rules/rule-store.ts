import type { UnitOfWork } from '../../db/database.ts';
import { kysely, type Query } from '../../db/query.ts';
import type { SudoRulesTable } from '../../db/schema.ts';

export type RuleRow = SudoRulesTable;

export async function listRules(query: Query): Promise<RuleRow[]> {
  return kysely(query).selectFrom('sudo_rules').selectAll().orderBy('name').execute();
}

export async function findRule(query: Query, id: string): Promise<RuleRow | null> {
  return (await kysely(query).selectFrom('sudo_rules').selectAll().where('id', '=', id).executeTakeFirst()) ?? null;
}

/** False when the name is taken. */
export async function insertRule(work: UnitOfWork, row: RuleRow): Promise<boolean> {
  const result = await kysely(work.query)
    .insertInto('sudo_rules')
    .values(row)
    .onConflict((conflict) => conflict.column('name').doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** False when the rule is not at that revision any more. */
export async function updateRule(
  work: UnitOfWork,
  id: string,
  revision: number,
  set: Partial<RuleRow>,
): Promise<boolean> {
  const result = await kysely(work.query)
    .updateTable('sudo_rules')
    .set({ ...set, revision: revision + 1 })
    .where('id', '=', id)
    .where('revision', '=', revision)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

export async function deleteRule(work: UnitOfWork, id: string, revision: number): Promise<boolean> {
  const result = await kysely(work.query)
    .deleteFrom('sudo_rules')
    .where('id', '=', id)
    .where('revision', '=', revision)
    .executeTakeFirst();
  return result.numDeletedRows === 1n;
}

export async function isNameTaken(query: Query, name: string, exceptId: string): Promise<boolean> {
  const row = await kysely(query)
    .selectFrom('sudo_rules')
    .select('id')
    .where('name', '=', name)
    .where('id', '<>', exceptId)
    .executeTakeFirst();
  return row !== undefined;
}
