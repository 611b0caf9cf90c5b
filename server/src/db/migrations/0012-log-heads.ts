import { type Kysely, SqliteAdapter } from 'kysely';

/** Signed heads of the event log, where it went on from a backup, and which hosts contradict it. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const sqlite = db.getExecutor().adapter instanceof SqliteAdapter;
  await db.schema
    .createTable('log_heads')
    // On SQLite the key of the table itself: no second tree that finds the row of a number.
    .addColumn('seq', sqlite ? 'integer' : 'bigint', (c) => c.primaryKey())
    .addColumn('token', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('log_epochs')
    .addColumn('at', 'bigint', (c) => c.primaryKey())
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .addColumn('token', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('log_disputes')
    .addColumn('host_id', 'text', (c) => c.primaryKey())
    .addColumn('contradiction', 'text', (c) => c.notNull())
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .addColumn('head', 'text')
    .addColumn('at', 'bigint', (c) => c.notNull())
    .execute();
}
