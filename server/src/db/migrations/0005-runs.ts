import type { Kysely } from 'kysely';

/** What sudo did with a command that was released to it. See ../schema.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const columns = [
    ['run_state', 'text'],
    ['run_started_at', 'bigint'],
    ['run_ended_at', 'bigint'],
    ['run_exit_status', 'integer'],
    ['run_signal', 'text'],
    ['run_duration_ms', 'bigint'],
    ['run_reason', 'text'],
  ] as const;
  // One at a time: SQLite adds one column per statement.
  for (const [name, type] of columns) await db.schema.alterTable('challenges').addColumn(name, type).execute();
}
