import type { UnitOfWork } from './database.ts';
import { kysely } from './query.ts';

/** Writes a row of this server's own, so that no other server is waited for, and removes those of servers that are gone. */
export async function writeProbe(work: UnitOfWork, holder: string, now: number, forgetBefore: number): Promise<void> {
  await kysely(work.query)
    .insertInto('storage_probes')
    .values({ holder, at: now })
    .onConflict((conflict) => conflict.column('holder').doUpdateSet({ at: now }))
    .execute();
  await kysely(work.query).deleteFrom('storage_probes').where('at', '<', forgetBefore).execute();
}
