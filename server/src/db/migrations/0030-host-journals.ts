import type { Kysely } from 'kysely';

/** What the server knows of the journals of hosts. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('host_journals')
    .addColumn('host_id', 'text', (c) => c.notNull().references('hosts.id'))
    .addColumn('journal', 'text', (c) => c.notNull())
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull())
    .addColumn('head', 'text')
    .addColumn('heard_at', 'bigint', (c) => c.notNull())
    .addColumn('told_at', 'bigint')
    .addColumn('problem', 'text')
    .addColumn('problem_at', 'bigint')
    .addColumn('said_seq', 'bigint')
    .addColumn('said_hash', 'text')
    .addColumn('said', 'text')
    .addPrimaryKeyConstraint('host_journals_key', ['host_id', 'journal'])
    .execute();
}
