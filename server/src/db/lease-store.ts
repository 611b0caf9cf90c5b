import type { UnitOfWork } from './database.ts';
import { kysely, type Query } from './query.ts';
import type { LeasesTable } from './schema.ts';
import { first, statement } from './statement.ts';

const selectLeaseToChange = statement((query, given: { name: string }, { driver }) => {
  const select = query.selectFrom('leases').selectAll().where('name', '=', given.name);
  return driver === 'postgres' ? select.forUpdate() : select;
});

/** Reads a lease and keeps it from changing until the transaction ends. */
export const lockLease = async (work: UnitOfWork, name: string): Promise<LeasesTable | null> =>
  first(await selectLeaseToChange(work.query, { name }));

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

const selectLease = statement((query, given: { name: string }) =>
  query.selectFrom('leases').selectAll().where('name', '=', given.name),
);

export const findLease = async (query: Query, name: string): Promise<LeasesTable | null> =>
  first(await selectLease(query, { name }));
