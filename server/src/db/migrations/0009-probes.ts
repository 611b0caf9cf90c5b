import type { Kysely } from 'kysely';

/** Where each server tries whether it can write. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('storage_probes')
    .addColumn('holder', 'text', (column) => column.primaryKey())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .execute();
}
