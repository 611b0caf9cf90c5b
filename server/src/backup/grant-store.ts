import type { UnitOfWork } from '../db/database.ts';
import { kysely } from '../db/query.ts';

/**
 * Takes back what hosts were let run without asking. What it rests on is in no backup, so nobody would see that it does not
 * hold any more.
 */
export async function endGrants(work: UnitOfWork, now: number): Promise<void> {
  const hosts = kysely(work.query).updateTable('hosts');
  await hosts.set({ grants_revoked_to: now }).where('grants_revoked_to', '<', now).execute();
}
