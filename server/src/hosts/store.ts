import type { Selectable } from 'kysely';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type { EnrolmentTokensTable, Host, HostReportsTable, HostsTable } from '../db/schema.ts';

export type { Host } from '../db/schema.ts';

export async function findHost(query: Query, id: string): Promise<Host | null> {
  return (await kysely(query).selectFrom('hosts').selectAll().where('id', '=', id).executeTakeFirst()) ?? null;
}

/** Reads and, on Postgres, locks a host for the transaction that admits its request. */
export async function lockHost(work: UnitOfWork, id: string): Promise<Host | null> {
  let select = kysely(work.query).selectFrom('hosts').selectAll().where('id', '=', id);
  if (work.driver === 'postgres') select = select.forUpdate();
  return (await select.executeTakeFirst()) ?? null;
}

/** The live (not revoked) host of a name. */
export async function findLiveHost(query: Query, hostname: string): Promise<Host | null> {
  return (
    (await kysely(query)
      .selectFrom('hosts')
      .selectAll()
      .where('hostname', '=', hostname)
      .where('state', '<>', 'revoked')
      .executeTakeFirst()) ?? null
  );
}

export async function listHosts(query: Query): Promise<Host[]> {
  return kysely(query).selectFrom('hosts').selectAll().orderBy('hostname').orderBy('enrolled_at', 'desc').execute();
}

export async function insertHost(work: UnitOfWork, host: HostsTable): Promise<void> {
  await kysely(work.query).insertInto('hosts').values(host).execute();
}

export async function updateHost(work: UnitOfWork, id: string, set: Partial<HostsTable>): Promise<void> {
  await kysely(work.query).updateTable('hosts').set(set).where('id', '=', id).execute();
}

/** Remembers a request nonce. False when it was seen before, in whichever process. */
export async function spendNonce(work: UnitOfWork, hostId: string, nonce: string, expiresAt: number): Promise<boolean> {
  const result = await kysely(work.query)
    .insertInto('host_nonces')
    .values({ host_id: hostId, nonce, expires_at: expiresAt })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

export async function forgetNonces(work: UnitOfWork, now: number): Promise<void> {
  await kysely(work.query).deleteFrom('host_nonces').where('expires_at', '<', now).execute();
}

export async function insertToken(work: UnitOfWork, token: EnrolmentTokensTable): Promise<void> {
  await kysely(work.query).insertInto('enrolment_tokens').values(token).execute();
}

export async function findToken(query: Query, id: string): Promise<Selectable<EnrolmentTokensTable> | null> {
  return (
    (await kysely(query).selectFrom('enrolment_tokens').selectAll().where('id', '=', id).executeTakeFirst()) ?? null
  );
}

/** Uses a token up. False when somebody else was faster. */
export async function spendToken(work: UnitOfWork, id: string, hostId: string, now: number): Promise<boolean> {
  const result = await kysely(work.query)
    .updateTable('enrolment_tokens')
    .set({ used_at: now, used_by: hostId })
    .where('id', '=', id)
    .where('used_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** How many hosts are enrolled and not revoked. */
export async function countLiveHosts(query: Query): Promise<number> {
  const { n } = await kysely(query)
    .selectFrom('hosts')
    .select((e) => e.fn.countAll<number>().as('n'))
    .where('state', '<>', 'revoked')
    .executeTakeFirstOrThrow();
  return Number(n);
}

/** What others need to know of a host: nulls for one that is not known. */
export async function hostFacts(
  query: Query,
  hostId: string,
): Promise<{ group: string | null; lastSeenAt: number | null }> {
  const host = await findHost(query, hostId);
  return { group: host?.host_group ?? null, lastSeenAt: host?.last_seen_at ?? null };
}

/** What a host said of itself last; null: nothing. */
export async function findReport(query: Query, hostId: string): Promise<HostReportsTable | null> {
  return (
    (await kysely(query).selectFrom('host_reports').selectAll().where('host_id', '=', hostId).executeTakeFirst()) ??
    null
  );
}

export async function listReports(query: Query): Promise<HostReportsTable[]> {
  return kysely(query).selectFrom('host_reports').selectAll().orderBy('host_id').execute();
}

export async function putReport(work: UnitOfWork, row: HostReportsTable): Promise<void> {
  const { host_id: _, ...said } = row;
  await kysely(work.query)
    .insertInto('host_reports')
    .values(row)
    .onConflict((conflict) => conflict.column('host_id').doUpdateSet(said))
    .execute();
}
