import { type Kysely, SqliteAdapter, sql } from 'kysely';

/**
 * What people look at costs the same however much was ever asked, and a request is written in fewer places: the indexes of
 * what is over are touched when it ends, and nothing is kept in order that nobody looks for. See ../schema.ts.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  if (!(db.getExecutor().adapter instanceof SqliteAdapter)) {
    await indexRequests(db);
    // Numbers are unique and every writer locks the head: no two events follow the same one.
    await sql`alter table events drop constraint events_prev_hash_key, drop constraint events_hash_key`.execute(db);
    return;
  }
  // Here each statement would be durable by itself, and a table that was copied halfway could not be told from a whole one.
  await db.transaction().execute(async (transaction) => {
    await indexRequests(transaction);
    await rebuild(transaction, 'events', [
      // The key of the table itself: no second tree that finds the row of a number.
      ['"seq" bigint primary key', '"seq" integer primary key'],
      ['"prev_hash" text not null unique', '"prev_hash" text not null'],
      ['"hash" text not null unique', '"hash" text not null'],
    ]);
    await rebuild(transaction, 'host_nonces', [[/\)$/, ') without rowid']]);
  });
}

async function indexRequests(db: Kysely<unknown>): Promise<void> {
  const statements = [
    'drop index challenges_pending',
    'drop index challenges_created',
    // By user first: the inbox of a person asks by it, and so does the limit per user and host.
    `create index challenges_pending on challenges (username, host_id, expires_at, lease_until) where status = 'pending'`,
    `create index challenges_pending_since on challenges (created_at, id) where status = 'pending'`,
    `create index challenges_over on challenges (status, created_at, id) where status <> 'pending'`,
    `create index challenges_over_of on challenges (username, status, created_at, id) where status <> 'pending'`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}

/** SQLite changes no constraint of a table that is there: its rows move into a new one, which gets its indexes again. */
async function rebuild(
  db: Kysely<unknown>,
  table: string,
  changes: readonly [from: string | RegExp, to: string][],
): Promise<void> {
  const { rows } = await sql<{ type: string; sql: string }>`
    select type, sql from sqlite_master where tbl_name = ${table} and sql is not null
  `.execute(db);
  let declaration = rows.find(({ type }) => type === 'table')?.sql ?? '';
  for (const [from, to] of [[`"${table}"`, `"${table}_new"`] as const, ...changes]) {
    const changed = declaration.replace(from, to);
    if (changed === declaration) throw new Error(`the table ${table} is not declared with ${from}`);
    declaration = changed;
  }
  await sql.raw(declaration).execute(db);
  await sql.raw(`insert into ${table}_new select * from ${table}`).execute(db);
  await sql.raw(`drop table ${table}`).execute(db);
  await sql.raw(`alter table ${table}_new rename to ${table}`).execute(db);
  for (const row of rows) if (row.type !== 'table') await sql.raw(row.sql).execute(db);
}
