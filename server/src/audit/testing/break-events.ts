import { sql } from 'kysely';
import { kysely, type Query } from '../../db/query.ts';

/** Has the table of events refuse every row from now on, and no other table anything. */
export async function breakEvents(query: Query, driver: 'sqlite' | 'postgres'): Promise<void> {
  if (driver === 'sqlite') {
    await sql`create trigger no_events before insert on events begin select raise(abort, 'no room'); end`.execute(
      kysely(query),
    );
    return;
  }
  await sql`alter table events add constraint no_events check (seq < 0) not valid`.execute(kysely(query));
}

export async function mendEvents(query: Query, driver: 'sqlite' | 'postgres'): Promise<void> {
  if (driver === 'sqlite') await sql`drop trigger no_events`.execute(kysely(query));
  else await sql`alter table events drop constraint no_events`.execute(kysely(query));
}

/**
 * Has the database say that its disk is full: SQLite of all that makes it larger, Postgres, as it would, of a row of the
 * events.
 */
export async function fillDisk(query: Query, driver: 'sqlite' | 'postgres'): Promise<void> {
  if (driver === 'sqlite') {
    // As large as it is.
    await sql`pragma max_page_count = 1`.execute(kysely(query));
    return;
  }
  await sql`
    create function no_room() returns trigger language plpgsql as
    $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$
  `.execute(kysely(query));
  await sql`create trigger no_room before insert on events execute function no_room()`.execute(kysely(query));
}

export async function emptyDisk(query: Query, driver: 'sqlite' | 'postgres'): Promise<void> {
  if (driver === 'sqlite') await sql`pragma max_page_count = 1000000000`.execute(kysely(query));
  else await sql`drop function no_room() cascade`.execute(kysely(query));
}
