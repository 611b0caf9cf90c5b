import { X509Certificate } from 'node:crypto';
import { type Kysely, sql } from 'kysely';

/**
 * Of the certificates of hosts is kept what was read of them: when they begin and end. Who counts hosts again and again
 * reads rows that are a third as long. And requests that are overdue are found without a look at all that wait. See
 * ../schema.ts.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('hosts').addColumn('certificate_from', 'bigint').execute();
  await db.schema.alterTable('hosts').addColumn('certificate_until', 'bigint').execute();
  const { rows } = await sql<{ id: string; certificate: string }>`
    /* the last time */ select id, certificate from hosts
  `.execute(db);
  for (const host of rows) {
    const { id, certificate_from: from, certificate_until: until } = withLife(host);
    await sql`update hosts set certificate_from = ${from}, certificate_until = ${until} where id = ${id}`.execute(db);
  }
  await db.schema.alterTable('hosts').dropColumn('certificate').execute();
  // With the id: those that are not overdue are not looked up in their table.
  await sql
    .raw(`create index challenges_due on challenges (expires_at, lease_until, id) where status = 'pending'`)
    .execute(db);
}

/** A host of before, from the database or from a backup, as it is kept now. */
export function withLife<T extends { certificate: string }>({ certificate, ...host }: T) {
  try {
    const { validFromDate, validToDate } = new X509Certificate(certificate);
    return { ...host, certificate_from: validFromDate.getTime(), certificate_until: validToDate.getTime() };
  } catch {
    // One that cannot be read has no end that could be told.
    return { ...host, certificate_from: null, certificate_until: null };
  }
}
