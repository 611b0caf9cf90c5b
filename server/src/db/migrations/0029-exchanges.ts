import type { Kysely } from 'kysely';

/** What was said and answered in an attempt to tell somebody. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('notify_attempts').addColumn('exchange', 'text').execute();
}
