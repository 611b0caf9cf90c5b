import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';

/** Proofs since a day, the newest first. @param since days since 1970 */
export async function listProofs(
  query: Query,
  since: number,
  most: number,
): Promise<{ digest: string; day: number }[]> {
  return kysely(query)
    .selectFrom('bind_proofs')
    .select(['digest', 'proved_on as day'])
    .where('proved_on', '>=', since)
    .orderBy('proved_on', 'desc')
    .limit(most)
    .execute();
}

export async function keepProof(work: UnitOfWork, digest: string, day: number): Promise<void> {
  await kysely(work.query)
    .insertInto('bind_proofs')
    .values({ digest, proved_on: day })
    .onConflict((conflict) => conflict.column('digest').doUpdateSet({ proved_on: day }))
    .execute();
}

export async function forgetProofs(work: UnitOfWork, before: number): Promise<void> {
  await kysely(work.query).deleteFrom('bind_proofs').where('proved_on', '<', before).execute();
}
