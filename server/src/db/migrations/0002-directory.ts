import { type Kysely, sql } from 'kysely';

/** The directory: numbers and names, what is published, what waits for an operator, sudo rules, SCIM. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const table = (name: string) => db.schema.createTable(name);

  await table('directory_state')
    .addColumn('id', 'integer', (c) => c.primaryKey().check(sql`id = 1`))
    .addColumn('generation', 'bigint', (c) => c.notNull())
    .addColumn('next_uid', 'bigint', (c) => c.notNull())
    .addColumn('next_gid', 'bigint', (c) => c.notNull())
    .addColumn('uid_count', 'bigint', (c) => c.notNull())
    .addColumn('gid_count', 'bigint', (c) => c.notNull())
    .addColumn('upg_policy', 'text', (c) => c.notNull().check(sql`upg_policy in ('match','separate')`))
    .addColumn('stamp_generation', 'bigint', (c) => c.notNull())
    .addColumn('usn', 'bigint', (c) => c.notNull())
    .execute();

  await table('directory_ids')
    .addColumn('kind', 'text', (c) => c.notNull().check(sql`kind in ('uid','gid')`))
    .addColumn('number', 'bigint', (c) => c.notNull())
    .addColumn('owner', 'text', (c) => c.notNull().check(sql`owner in ('user','group')`))
    .addColumn('issuer', 'text', (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('assigned_at', 'bigint', (c) => c.notNull())
    .addColumn('retired_at', 'bigint')
    // The same number never belongs to two, and nobody has two numbers: also between replicas.
    .addPrimaryKeyConstraint('directory_ids_pk', ['kind', 'number'])
    .addUniqueConstraint('directory_ids_owner', ['kind', 'owner', 'issuer', 'subject'])
    .execute();

  await table('directory_names')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('owner', 'text', (c) => c.notNull().check(sql`owner in ('user','group')`))
    .addColumn('issuer', 'text', (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('since', 'bigint', (c) => c.notNull())
    .addColumn('left_at', 'bigint')
    .execute();

  await table('directory_stamps')
    .addColumn('uuid', 'text', (c) => c.primaryKey())
    .addColumn('hash', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('modified_at', 'bigint', (c) => c.notNull())
    .addColumn('usn', 'bigint', (c) => c.notNull())
    .execute();

  await table('directory_published')
    .addColumn('id', 'integer', (c) => c.primaryKey().check(sql`id = 1`))
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull())
    .addColumn('content', 'text', (c) => c.notNull())
    .addColumn('mac', 'text', (c) => c.notNull())
    .addColumn('published_at', 'bigint', (c) => c.notNull())
    .addColumn('fetched_at', 'bigint', (c) => c.notNull())
    .execute();

  await table('directory_holds')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('digest', 'text', (c) => c.notNull().unique())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('detail', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull().check(sql`state in ('open','confirmed','rejected')`))
    .addColumn('held_at', 'bigint', (c) => c.notNull())
    .addColumn('decided_at', 'bigint')
    .addColumn('decided_by', 'text')
    .execute();

  await table('sudo_rules')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('revision', 'integer', (c) => c.notNull())
    .addColumn('rule', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('created_by', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_by', 'text', (c) => c.notNull())
    .execute();

  await table('scim_clients')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('issuer', 'text', (c) => c.notNull())
    .addColumn('token_hash', 'text', (c) => c.notNull().unique())
    .addColumn('scopes', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('created_by', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .addColumn('last_used_at', 'bigint')
    .addColumn('revoked_at', 'bigint')
    .execute();

  await table('scim_resources')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('client_id', 'text', (c) => c.notNull().references('scim_clients.id'))
    .addColumn('kind', 'text', (c) => c.notNull().check(sql`kind in ('User','Group')`))
    .addColumn('external_id', 'text')
    .addColumn('unique_name', 'text', (c) => c.notNull())
    .addColumn('resource', 'text', (c) => c.notNull())
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('modified_at', 'bigint', (c) => c.notNull())
    .addColumn('deleted_at', 'bigint')
    .execute();
  await sql`create unique index scim_live_name on scim_resources (client_id, unique_name) where deleted_at is null and kind = 'User'`.execute(
    db,
  );
  await sql`create unique index scim_live_external on scim_resources (client_id, kind, external_id) where deleted_at is null`.execute(
    db,
  );
}
