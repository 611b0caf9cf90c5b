import type { Kysely } from 'kysely';

/** When a receiver of the audit log last took an event. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('event_cursors').addColumn('delivered_at', 'bigint').execute();
}
