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
