import type { Kysely } from 'kysely';

/** What went wrong last with a reader of the event log, and what audit sinks could not deliver. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('event_cursors').addColumn('failure', 'text').execute();
  await db.schema.alterTable('event_cursors').addColumn('failed_at', 'bigint').execute();
  await db.schema
    .alterTable('event_cursors')
    .addColumn('paused', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema
    .createTable('audit_dead_letters')
    .addColumn('sink', 'text', (c) => c.notNull())
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('retry', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('audit_dead_letters_key', ['sink', 'seq'])
    .execute();
}
