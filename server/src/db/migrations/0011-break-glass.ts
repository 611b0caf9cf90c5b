import type { Kysely } from 'kysely';

/** Break-glass passwords: what hosts say of theirs, what is kept of them, and which uses were reported. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('break_glass_hosts')
    .addColumn('host_id', 'text', (c) => c.primaryKey().references('hosts.id'))
    .addColumn('enabled', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint')
    .addColumn('type', 'text')
    .addColumn('escrow_id', 'text')
    .addColumn('problem', 'text')
    .addColumn('reported_at', 'bigint')
    .addColumn('rotate_before', 'bigint')
    .addColumn('journal_hash', 'text')
    .execute();
  await db.schema
    .createTable('break_glass_uses')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('host_id', 'text', (c) => c.notNull().references('hosts.id'))
    .addColumn('at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('escrow_records')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('host_id', 'text', (c) => c.notNull().references('hosts.id'))
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('kept_at', 'bigint', (c) => c.notNull())
    .addColumn('backend', 'text', (c) => c.notNull())
    .addColumn('location', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('escrow_records_host').on('escrow_records').columns(['host_id', 'kept_at']).execute();
}
