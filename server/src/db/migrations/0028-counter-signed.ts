import type { Kysely } from 'kysely';

/** When the request with the highest counter of a host was signed. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('hosts').addColumn('counter_signed_at', 'bigint').execute();
}
