import type { Kysely } from 'kysely';

/** Who waits for a second person before a break-glass password is shown. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('reveal_requests')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('host_id', 'text', (c) => c.notNull().references('hosts.id'))
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('asker_id', 'text', (c) => c.notNull())
    .addColumn('asker', 'text', (c) => c.notNull())
    .addColumn('asked_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .addColumn('confirmer_id', 'text')
    .addColumn('confirmer', 'text')
    .addColumn('confirmed_at', 'bigint')
    .addColumn('shown_at', 'bigint')
    .execute();
}
