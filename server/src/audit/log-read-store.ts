import type { Selectable } from 'kysely';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { AuditReadsTable } from '../db/schema.ts';

export type PendingReads = Selectable<AuditReadsTable>;

/** Adds to what is to be told, and locks it until the end of the transaction. @returns what there is now */
export async function addReads(
  work: UnitOfWork,
  more: Pick<AuditReadsTable, 'digest' | 'about' | 'reads' | 'rows'>,
): Promise<PendingReads> {
  return kysely(work.query)
    .insertInto('audit_reads')
    .values({ ...more, told_at: 0 })
    .onConflict((conflict) =>
      conflict.column('digest').doUpdateSet((row) => ({
        reads: row('audit_reads.reads', '+', row.ref('excluded.reads')),
        rows: row('audit_reads.rows', '+', row.ref('excluded.rows')),
      })),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function setTold(work: UnitOfWork, digest: string, at: number): Promise<void> {
  await kysely(work.query)
    .updateTable('audit_reads')
    .set({ told_at: at, reads: 0, rows: 0 })
    .where('digest', '=', digest)
    .execute();
}

export async function forgetReads(work: UnitOfWork, digest: string): Promise<void> {
  await kysely(work.query).deleteFrom('audit_reads').where('digest', '=', digest).execute();
}

/** What was told so long ago, or by a clock that was so far ahead, that it may be told again, or forgotten. */
export async function listReads(query: Query, toldUntil: number, toldFrom: number): Promise<PendingReads[]> {
  return kysely(query)
    .selectFrom('audit_reads')
    .selectAll()
    .where((where) => where.or([where('told_at', '<=', toldUntil), where('told_at', '>=', toldFrom)]))
    .limit(1000)
    .execute();
}
