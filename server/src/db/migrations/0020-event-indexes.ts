import { type Kysely, sql } from 'kysely';

/**
 * Who reads the log finds what they look for however long it has become: by time, and by time of a user, of a host and of a
 * kind of event. Each can be made anew, where the making of one was cut off.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const [name, column] of [
    ['events_by_time', null],
    ['events_by_user', 'username'],
    ['events_by_host', 'hostname'],
    ['events_by_kind', 'event'],
  ] as const) {
    const columns = [...(column === null ? [] : [column]), 'at', 'seq'].map((one) => sql.ref(one));
    await sql`create index if not exists ${sql.id(name)} on events (${sql.join(columns)})`.execute(db);
  }
}
