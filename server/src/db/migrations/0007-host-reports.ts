import type { Kysely } from 'kysely';

/** What hosts say of themselves. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('host_reports')
    .addColumn('host_id', 'text', (c) => c.primaryKey())
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('report', 'text', (c) => c.notNull())
    .addColumn('reported_at', 'bigint', (c) => c.notNull())
    .execute();
  // Hosts that are known already are served as before.
  await db.schema
    .alterTable('hosts')
    .addColumn('report_due', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema
    .alterTable('hosts')
    .addColumn('reached', 'integer', (c) => c.notNull().defaultTo(1))
    .execute();
}
