import type { UnitOfWork } from './database.ts';
import { kysely, type Query } from './query.ts';
import type { LeasesTable } from './schema.ts';

/** Reads a lease and keeps it from changing until the transaction ends. */
export async function lockLease(work: UnitOfWork, name: string): Promise<LeasesTable | null> {
  let select = kysely(work.query).selectFrom('leases').selectAll().where('name', '=', name);
  if (work.driver === 'postgres') select = select.forUpdate();
  return (await select.executeTakeFirst()) ?? null;
}

/** Writes a lease that no process had. False: another one was faster. */
export async function insertLease(work: UnitOfWork, lease: LeasesTable): Promise<boolean> {
  const row = await kysely(work.query)
    .insertInto('leases')
    .values(lease)
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returning('name')
    .executeTakeFirst();
  return row !== undefined;
}

export async function updateLease(work: UnitOfWork, { name, ...lease }: LeasesTable): Promise<void> {
  await kysely(work.query).updateTable('leases').set(lease).where('name', '=', name).execute();
}

/** Gives up a lease that this holder still has. */
export async function expireLease(work: UnitOfWork, name: string, holder: string): Promise<void> {
  await kysely(work.query)
    .updateTable('leases')
    .set({ until: 0 })
    .where('name', '=', name)
    .where('holder', '=', holder)
    .execute();
}

export async function findLease(query: Query, name: string): Promise<LeasesTable | null> {
  return (await kysely(query).selectFrom('leases').selectAll().where('name', '=', name).executeTakeFirst()) ?? null;
}
