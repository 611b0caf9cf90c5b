import type { Kysely } from 'kysely';

/** Events whose payload can be erased: it is hashed on its own, with a salt. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('events').addColumn('salt', 'text').execute();
  await db.schema.alterTable('events').addColumn('payload_hash', 'text').execute();
  await db.schema
    .createTable('event_erasures')
    .addColumn('topic', 'text', (c) => c.primaryKey())
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .execute();
}
