import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { EventCursorsTable } from '../db/schema.ts';

/** Makes the cursor of a new reader; one that is there stays where it is. */
export async function insertCursor(work: UnitOfWork, reader: string, seq: number, now: number): Promise<void> {
  await kysely(work.query)
    .insertInto('event_cursors')
    .values({ reader, seq, moved_at: now, problem: null })
    .onConflict((conflict) => conflict.column('reader').doNothing())
    .execute();
}

export async function findCursor(query: Query, reader: string): Promise<EventCursorsTable | null> {
  return (
    (await kysely(query).selectFrom('event_cursors').selectAll().where('reader', '=', reader).executeTakeFirst()) ??
    null
  );
}

/** How far each reader has come. */
export async function listCursors(query: Query): Promise<EventCursorsTable[]> {
  return kysely(query).selectFrom('event_cursors').selectAll().orderBy('reader').execute();
}

/** Moves a cursor forward; it never goes back. */
export async function moveCursor(work: UnitOfWork, reader: string, seq: number, now: number): Promise<void> {
  await kysely(work.query)
    .updateTable('event_cursors')
    .set({ seq, moved_at: now, problem: null })
    .where('reader', '=', reader)
    .where('seq', '<', seq)
    .execute();
}

export async function noteProblem(work: UnitOfWork, reader: string, problem: string): Promise<void> {
  await kysely(work.query).updateTable('event_cursors').set({ problem }).where('reader', '=', reader).execute();
}
