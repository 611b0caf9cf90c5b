import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { AuditDeadLettersTable } from '../db/schema.ts';

/** What sinks could not deliver, oldest first, with the name of the event; null: it is no longer in the log. */
export async function listDeadLetters(
  query: Query,
  sink?: string,
): Promise<(AuditDeadLettersTable & { event: string | null })[]> {
  let select = kysely(query)
    .selectFrom('audit_dead_letters')
    .selectAll('audit_dead_letters')
    // One event after the other by its number: a join may be made by reading through the whole log.
    .select((row) =>
      row.selectFrom('events').select('event').whereRef('events.seq', '=', 'audit_dead_letters.seq').as('event'),
    )
    .orderBy('audit_dead_letters.sink')
    .orderBy('audit_dead_letters.seq');
  if (sink !== undefined) select = select.where('audit_dead_letters.sink', '=', sink);
  return select.execute();
}

export async function countDeadLetters(query: Query, sink: string): Promise<number> {
  const { n } = await kysely(query)
    .selectFrom('audit_dead_letters')
    .select((select) => select.fn.countAll().as('n'))
    .where('sink', '=', sink)
    .executeTakeFirstOrThrow();
  return Number(n);
}

/** Number of the oldest event that one of these sinks could not deliver; null: there is none. */
export async function oldestDeadLetter(query: Query, sinks: readonly string[]): Promise<number | null> {
  if (sinks.length === 0) return null;
  const row = await kysely(query)
    .selectFrom('audit_dead_letters')
    .select('seq')
    .where('sink', 'in', sinks)
    .orderBy('seq')
    .limit(1)
    .executeTakeFirst();
  return row?.seq ?? null;
}

/** Of one sink those that are to be tried again, oldest first. */
export async function lettersToRetry(query: Query, sink: string): Promise<AuditDeadLettersTable[]> {
  return kysely(query)
    .selectFrom('audit_dead_letters')
    .selectAll()
    .where('sink', '=', sink)
    .where('retry', '=', 1)
    .orderBy('seq')
    .execute();
}

export async function putDeadLetters(
  work: UnitOfWork,
  letters: readonly Omit<AuditDeadLettersTable, 'retry'>[],
): Promise<void> {
  if (letters.length === 0) return;
  await kysely(work.query)
    .insertInto('audit_dead_letters')
    .values(letters.map((letter) => ({ ...letter, retry: 0 as const })))
    .onConflict((conflict) =>
      conflict.columns(['sink', 'seq']).doUpdateSet((row) => ({
        reason: row.ref('excluded.reason'),
        at: row.ref('excluded.at'),
        retry: 0,
      })),
    )
    .execute();
}

export async function deleteDeadLetters(work: UnitOfWork, sink: string, seqs: readonly number[]): Promise<void> {
  if (seqs.length === 0) return;
  await kysely(work.query).deleteFrom('audit_dead_letters').where('sink', '=', sink).where('seq', 'in', seqs).execute();
}

/** Marks them to be tried again. @returns how many there are */
export async function retryDeadLetters(work: UnitOfWork, which: { sink?: string; seq?: number }): Promise<number> {
  let update = kysely(work.query).updateTable('audit_dead_letters').set({ retry: 1 });
  if (which.sink !== undefined) update = update.where('sink', '=', which.sink);
  if (which.seq !== undefined) update = update.where('seq', '=', which.seq);
  const result = await update.executeTakeFirst();
  return Number(result.numUpdatedRows);
}
