import type { Kysely } from 'kysely';

/** Which authorities each host goes by. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('host_authorities')
    .addColumn('host_id', 'text', (c) => c.primaryKey().references('hosts.id'))
    .addColumn('issuer', 'text')
    .addColumn('bundle', 'text', (c) => c.notNull())
    .addColumn('told_at', 'bigint', (c) => c.notNull())
    .execute();
}
