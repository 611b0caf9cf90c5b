import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { LoginAttemptsTable } from '../db/schema.ts';

export async function insertLoginAttempt(work: UnitOfWork, attempt: LoginAttemptsTable): Promise<void> {
  await kysely(work.query).insertInto('login_attempts').values(attempt).execute();
}

/** Whether there is such an attempt. Asked first: strangers send callbacks, and a look costs no write. */
export async function hasLoginAttempt(query: Query, stateHash: string): Promise<boolean> {
  const row = await kysely(query)
    .selectFrom('login_attempts')
    .select('state_hash')
    .where('state_hash', '=', stateHash)
    .executeTakeFirst();
  return row !== undefined;
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
