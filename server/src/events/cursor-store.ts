import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { EventCursorsTable } from '../db/schema.ts';
import { first, statement } from '../db/statement.ts';

/** Makes the cursor of a new reader; one that is there stays where it is. */
export async function insertCursor(work: UnitOfWork, reader: string, seq: number, now: number): Promise<void> {
  await kysely(work.query)
    .insertInto('event_cursors')
    .values({
      reader,
      seq,
      moved_at: now,
      problem: null,
      failure: null,
      failed_at: null,
      paused: 0,
      delivered_at: null,
    })
    .onConflict((conflict) => conflict.column('reader').doNothing())
    .execute();
}

const selectCursor = statement((query, given: { reader: string }) =>
  query.selectFrom('event_cursors').selectAll().where('reader', '=', given.reader),
);

export const findCursor = async (query: Query, reader: string): Promise<EventCursorsTable | null> =>
  first(await selectCursor(query, { reader }));

const selectCursors = statement((query, _: object) => query.selectFrom('event_cursors').selectAll().orderBy('reader'));

/** How far each reader has come. */
export async function listCursors(query: Query): Promise<EventCursorsTable[]> {
  return (await selectCursors(query, {})).rows;
}

const updateCursor = statement((query, given: { reader: string; from: number; to: number; now: number }) =>
  query
    .updateTable('event_cursors')
    .set({ seq: given.to, moved_at: given.now, problem: null, paused: 0 })
    .where('reader', '=', given.reader)
    .where('seq', '=', given.from),
);

/** Moves a cursor forward. False: it was moved back meanwhile, so what lies in between comes again. */
export async function moveCursor(
  work: UnitOfWork,
  reader: string,
  { from, to }: { from: number; to: number },
  now: number,
): Promise<boolean> {
  return (await updateCursor(work.query, { reader, from, to, now })).numAffectedRows === 1n;
}

/** Moves a cursor back: what follows comes again. Where it is behind that already it stays. */
export async function moveCursorBack(work: UnitOfWork, reader: string, seq: number): Promise<void> {
  await kysely(work.query)
    .updateTable('event_cursors')
    .set({ seq })
    .where('reader', '=', reader)
    .where('seq', '>', seq)
    .execute();
}

/** An event was delivered to where this reader leads, and not only passed over. */
export async function noteDelivered(work: UnitOfWork, reader: string, at: number): Promise<void> {
  await kysely(work.query)
    .updateTable('event_cursors')
    .set({ delivered_at: at })
    .where('reader', '=', reader)
    .execute();
}

/** @param failure `paused`: it waits for an operator */
export async function noteProblem(
  work: UnitOfWork,
  reader: string,
  failure: { problem: string; at: number; paused: boolean },
): Promise<void> {
  const { problem, at, paused } = failure;
  await kysely(work.query)
    .updateTable('event_cursors')
    .set({ problem, failure: problem, failed_at: at, paused: paused ? 1 : 0 })
    .where('reader', '=', reader)
    .execute();
}
