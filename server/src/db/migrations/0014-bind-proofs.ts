import type { Kysely } from 'kysely';

/** Which names have proved at which addresses to know their password. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('bind_proofs')
    .addColumn('digest', 'text', (column) => column.primaryKey())
    .addColumn('proved_on', 'integer', (column) => column.notNull())
    .execute();
}
