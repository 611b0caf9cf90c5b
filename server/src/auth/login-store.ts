import type { UnitOfWork } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import type { LoginAttemptsTable } from '../db/schema.ts';

export async function insertLoginAttempt(work: UnitOfWork, attempt: LoginAttemptsTable): Promise<void> {
  await kysely(work.query).insertInto('login_attempts').values(attempt).execute();
}

/** Takes an attempt out, once: of two callbacks that race, one gets nothing. */
export async function takeLoginAttempt(work: UnitOfWork, stateHash: string): Promise<LoginAttemptsTable | null> {
  const row = await kysely(work.query)
    .deleteFrom('login_attempts')
    .where('state_hash', '=', stateHash)
    .returningAll()
    .executeTakeFirst();
  return row ?? null;
}
