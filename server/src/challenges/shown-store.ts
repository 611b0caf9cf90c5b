import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { RequestsShownTable } from '../db/schema.ts';

/** Whether a request was shown to a person before. */
export async function wasShown(query: Query, { challenge_id, person_id }: RequestsShownTable): Promise<boolean> {
  const row = await kysely(query)
    .selectFrom('requests_shown')
    .select('person_id')
    .where('challenge_id', '=', challenge_id)
    .where('person_id', '=', person_id)
    .executeTakeFirst();
  return row !== undefined;
}

/** Remembers that a request is shown to a person. False: it was before, perhaps by another server just now. */
export async function insertShown(work: UnitOfWork, row: RequestsShownTable): Promise<boolean> {
  const result = await kysely(work.query)
    .insertInto('requests_shown')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return Number(result.numInsertedOrUpdatedRows) > 0;
}
