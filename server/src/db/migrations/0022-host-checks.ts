import type { Kysely } from 'kysely';

/** What the agent of a host found when it looked at itself last. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('host_checks')
    .addColumn('host_id', 'text', (c) => c.primaryKey().references('hosts.id'))
    .addColumn('checked_at', 'bigint', (c) => c.notNull())
    .addColumn('lines', 'text', (c) => c.notNull())
    .execute();
}
