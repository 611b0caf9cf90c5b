import { type Kysely, sql } from 'kysely';

/** Whose account it is has one source: the directory where it serves people, else a binding. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('people').addColumn('source_id_claim', 'text').execute();
  await db.schema.alterTable('people').addColumn('source_id', 'text').execute();
  await db.schema.createIndex('people_subject_alone').on('people').column('subject').execute();
  await db.schema.createIndex('people_source_id').on('people').column('source_id').execute();
  await db.schema.createIndex('directory_ids_subject').on('directory_ids').column('subject').execute();
  await db.schema.createIndex('directory_names_subject').on('directory_names').column('subject').execute();

  const bindings = () => db.schema.alterTable('account_bindings');
  await bindings().addColumn('instead_of_issuer', 'text').execute();
  await bindings().addColumn('instead_of_subject', 'text').execute();
  await bindings()
    .addColumn('while_left', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  // Also of what a backup of an earlier version brings.
  await bindings()
    .addColumn('from_before', 'integer', (c) => c.notNull().defaultTo(1))
    .execute();
  await db.schema
    .createIndex('account_bindings_instead_of')
    .on('account_bindings')
    .column('instead_of_subject')
    .execute();
  await sql`create index account_bindings_name on account_bindings (lower(account))`.execute(db);

  await db.schema
    .createTable('account_claims')
    .addColumn('account', 'text', (c) => c.primaryKey())
    .addColumn('person_id', 'text', (c) => c.notNull().references('people.id'))
    .addColumn('held_at', 'bigint', (c) => c.notNull())
    .addColumn('owner_issuer', 'text', (c) => c.notNull())
    .addColumn('owner_subject', 'text', (c) => c.notNull())
    .execute();
  await sql`
    insert into account_claims (account, person_id, held_at, owner_issuer, owner_subject)
    select bound.account, bound.held_person_id, bound.held_at, people.issuer, people.subject
    from account_bindings as bound join people on people.id = bound.person_id
    where bound.held_person_id is not null and bound.held_at is not null
  `.execute(db);
  await sql`update account_bindings set held_person_id = null, held_at = null`.execute(db);
}
