import type { UnitOfWork } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import type { DesktopGrantsTable } from '../db/schema.ts';

export async function insertDesktopGrant(work: UnitOfWork, grant: DesktopGrantsTable): Promise<void> {
  await kysely(work.query).insertInto('desktop_grants').values(grant).execute();
}

/** Takes a grant out, once, whatever comes of it: a second guess at the verifier finds nothing. */
export async function takeDesktopGrant(work: UnitOfWork, codeHash: string): Promise<DesktopGrantsTable | null> {
  const row = await kysely(work.query)
    .deleteFrom('desktop_grants')
    .where('code_hash', '=', codeHash)
    .returningAll()
    .executeTakeFirst();
  return row ?? null;
}

export async function dropDesktopGrants(work: UnitOfWork, personId: string): Promise<void> {
  await kysely(work.query).deleteFrom('desktop_grants').where('person_id', '=', personId).execute();
}
