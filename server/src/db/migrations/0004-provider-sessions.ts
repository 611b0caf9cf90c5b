import type { Kysely } from 'kysely';

/** Which session of the identity provider a session here belongs to, and logout tokens that were used. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('sessions').addColumn('provider_sid', 'text').execute();
  await db.schema.alterTable('sessions').addColumn('id_token', 'text').execute();
  await db.schema.createIndex('sessions_provider_sid').on('sessions').column('provider_sid').execute();
  await db.schema.alterTable('desktop_grants').addColumn('provider_sid', 'text').execute();
  await db.schema
    .createTable('logout_tokens')
    .addColumn('jti_hash', 'text', (c) => c.primaryKey())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute();
}
