import type { Kysely } from 'kysely';

/** What hosts may run again without asking, and what they ran so. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('offline_grants')
    .addColumn('host_id', 'text', (c) => c.notNull().references('hosts.id'))
    .addColumn('username', 'text', (c) => c.notNull())
    .addColumn('policy_version', 'text', (c) => c.notNull())
    .addColumn('sequence', 'bigint', (c) => c.notNull())
    .addColumn('live_until', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('offline_grants_key', ['host_id', 'username'])
    .execute();
  await db.schema
    .alterTable('hosts')
    .addColumn('grants_revoked_to', 'bigint', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema.alterTable('hosts').addColumn('grants_journal', 'text').execute();
  // One at a time: SQLite adds one column per statement.
  for (const [name, type] of [
    ['offline_grant', 'text'],
    ['offline_granted_at', 'bigint'],
    ['offline_used_at', 'bigint'],
  ] as const)
    await db.schema.alterTable('challenges').addColumn(name, type).execute();
}
