import { type Selectable, sql } from 'kysely';
import type { HostAuthorities } from '#shared/host-api.ts';
import type { JournalName } from '#shared/journal-head.ts';
import type { Life } from '../certificates/authority.ts';
import type { UnitOfWork } from '../db/database.ts';
import { kysely, type Query } from '../db/query.ts';
import type {
  EnrolmentTokensTable,
  Host,
  HostAuthoritiesTable,
  HostChecksTable,
  HostJournalsTable,
  HostNoncesTable,
  HostReportsTable,
  HostsTable,
} from '../db/schema.ts';
import { first, rawStatement, statement } from '../db/statement.ts';
import { WARNED_MS } from './certificate-life.ts';

export type { Host } from '../db/schema.ts';

const selectHost = statement((query, given: { id: string }) =>
  query.selectFrom('hosts').selectAll().where('id', '=', given.id),
);

export async function findHost(query: Query, id: string): Promise<Host | null> {
  return first(await selectHost(query, { id }));
}

const selectHostToChange = statement((query, given: { id: string }, { driver }) => {
  const select = query.selectFrom('hosts').selectAll().where('id', '=', given.id);
  return driver === 'postgres' ? select.forUpdate() : select;
});

/** Reads and, on Postgres, locks a host for the transaction that admits its request. */
export async function lockHost(work: UnitOfWork, id: string): Promise<Host | null> {
  return first(await selectHostToChange(work.query, { id }));
}

const selectHostsToChange = rawStatement<{ ids: readonly string[] }, Host>(
  ({ ids }) => sql`select * from hosts where id = any(${ids}) order by id for update`,
);

/** The same of several, by id; always in the same order, so that two who do so never wait for each other. */
export async function lockHosts(work: UnitOfWork, ids: readonly string[]): Promise<Map<string, Host>> {
  const hosts = new Map<string, Host>();
  if (work.driver === 'postgres') {
    for (const host of (await selectHostsToChange(work.query, { ids })).rows) hosts.set(host.id, host);
    return hosts;
  }
  for (const id of ids) {
    const host = await findHost(work.query, id);
    if (host) hosts.set(id, host);
  }
  return hosts;
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

/** When the certificate of a host begins and ends; null: that is not known. */
export function lifeOfHost(host: Pick<Host, 'certificate_from' | 'certificate_until'>): Life | null {
  const { certificate_from: from, certificate_until: until } = host;
  return from === null || until === null ? null : { from, until };
}

/** What a host has proved with a request. */
export interface ProvenHost
  extends Pick<
    HostsTable,
    'id' | 'counter' | 'counter_signed_at' | 'machine_id' | 'last_seen_at' | 'remote_addr' | 'agent_version'
  > {}

const updateProvenHost = statement((query, given: ProvenHost) =>
  query
    .updateTable('hosts')
    .set({
      counter: given.counter,
      counter_signed_at: given.counter_signed_at,
      machine_id: given.machine_id,
      rebind: 0,
      last_seen_at: given.last_seen_at,
      remote_addr: given.remote_addr,
      agent_version: given.agent_version,
    })
    .where('id', '=', given.id),
);

export async function noteProof(work: UnitOfWork, host: ProvenHost): Promise<void> {
  await updateProvenHost(work.query, host);
}

const insertNonce = statement((query, given: HostNoncesTable) =>
  query
    .insertInto('host_nonces')
    .values({ host_id: given.host_id, nonce: given.nonce, expires_at: given.expires_at })
    .onConflict((conflict) => conflict.doNothing()),
);

/** Remembers a request nonce. False when it was seen before, in whichever process. */
export async function spendNonce(work: UnitOfWork, hostId: string, nonce: string, expiresAt: number): Promise<boolean> {
  const { numAffectedRows } = await insertNonce(work.query, { host_id: hostId, nonce, expires_at: expiresAt });
  return numAffectedRows === 1n;
}

/** Whether a request nonce was seen before. */
export async function isSpent(work: UnitOfWork, request: { host: Pick<Host, 'id'>; nonce: string }): Promise<boolean> {
  const row = await kysely(work.query)
    .selectFrom('host_nonces')
    .select('nonce')
    .where('host_id', '=', request.host.id)
    .where('nonce', '=', request.nonce)
    .executeTakeFirst();
  return row !== undefined;
}

/** A request that is admitted: what its host has proved, and the nonce that is spent for it. */
export type AdmittedRequest = ProvenHost & Pick<HostNoncesTable, 'nonce' | 'expires_at'>;

const noteAllAdmitted = rawStatement<{ requests: string }, { host_id: string }>(
  ({ requests }) => sql`
    with given as (
      select * from json_to_recordset(${requests}::json) as g(
        id text, nonce text, expires_at bigint, counter bigint, counter_signed_at bigint, machine_id text,
        last_seen_at bigint, remote_addr text, agent_version text
      )
    ), spent as (
      insert into host_nonces (host_id, nonce, expires_at) select id, nonce, expires_at from given
      on conflict do nothing returning host_id
    ), noted as (
      update hosts set
        counter = given.counter, counter_signed_at = given.counter_signed_at, machine_id = given.machine_id, rebind = 0,
        last_seen_at = given.last_seen_at, remote_addr = given.remote_addr, agent_version = given.agent_version
      from given join spent on spent.host_id = given.id where hosts.id = given.id
    )
    select host_id from spent
  `,
);

/**
 * Spends the nonces of several requests, each of another host, and notes what they have proved. One whose nonce was seen
 * before changes nothing.
 *
 * @returns ids of the hosts of all others
 */
export async function noteAdmitted(work: UnitOfWork, requests: readonly AdmittedRequest[]): Promise<Set<string>> {
  if (work.driver === 'postgres') {
    const { rows } = await noteAllAdmitted(work.query, { requests: JSON.stringify(requests) });
    return new Set(rows.map(({ host_id }) => host_id));
  }
  const spent = new Set<string>();
  for (const request of requests) {
    if (!(await spendNonce(work, request.id, request.nonce, request.expires_at))) continue;
    await noteProof(work, request);
    spent.add(request.id);
  }
  return spent;
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

/** Times that hosts are counted by, milliseconds. */
interface CountedBy {
  now: number;
  /** Whoever was heard of later is online. */
  onlineAfter: number;
  /** Certificates that end until then. */
  hour: number;
  day: number;
  week: number;
  month: number;
}

/** How many hosts that are not revoked have a version of the agent, and how many of these are so. */
export interface HostCounts extends Record<'hour' | 'day' | 'week' | 'month', number> {
  version: string;
  hosts: number;
  everSeen: number;
  online: number;
  /** Of which it is known when they end. */
  certificates: number;
  /** As `endsSoon` says. */
  endingSoon: number;
  /** When the first certificate of them ends; null: they have none. */
  first: number | null;
}

const selectHostCounts = statement((query, given: CountedBy) =>
  query
    .selectFrom('hosts')
    // Written so that no index seems to help: SQLite would look each row up by it, in the order of the names.
    .where(sql<boolean>`nullif(state, 'revoked') is not null`)
    .groupBy(sql.ref('version'))
    .select((e) => {
      const hosts = e.fn.countAll<number>();
      const endingUntil = (at: number) => hosts.filterWhere('certificate_until', '<=', at);
      const left = sql<number>`(certificate_until - ${given.now})`;
      return [
        e.fn.coalesce('agent_version', sql.lit('unknown')).as('version'),
        hosts.as('hosts'),
        e.fn.count<number>('last_seen_at').as('everSeen'),
        hosts.filterWhere('last_seen_at', '>', given.onlineAfter).as('online'),
        e.fn.count<number>('certificate_until').as('certificates'),
        hosts
          .filterWhere(
            sql<boolean>`${left} <= ${sql.lit(WARNED_MS)} and ${left} * 4 <= certificate_until - certificate_from`,
          )
          .as('endingSoon'),
        endingUntil(given.hour).as('hour'),
        endingUntil(given.day).as('day'),
        endingUntil(given.week).as('week'),
        endingUntil(given.month).as('month'),
        e.fn.min('certificate_until').as('first'),
      ];
    }),
);

/** Counts hosts by version, in the database: metrics ask each second, and there may be ten thousand. */
export async function countHosts(query: Query, by: CountedBy): Promise<HostCounts[]> {
  const { rows } = await selectHostCounts(query, by);
  // Postgres writes counts as texts.
  return rows.map(({ version, first, ...counts }) => ({
    version,
    first: first === null ? null : Number(first),
    ...(Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, Number(count)])) as typeof counts),
  }));
}

/** When the certificates end of hosts that are not revoked, in any order. */
export async function listCertificateEnds(query: Query): Promise<{ hostname: string; until: number }[]> {
  return kysely(query)
    .selectFrom('hosts')
    .select(['hostname', 'certificate_until as until'])
    .where('state', '<>', 'revoked')
    .where('certificate_until', 'is not', null)
    .$narrowType<{ until: number }>()
    .execute();
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

/** Which host said what last, without what it said. */
export async function listReportDigests(query: Query): Promise<{ host_id: string; digest: string }[]> {
  return kysely(query).selectFrom('host_reports').select(['host_id', 'digest']).orderBy('host_id').execute();
}

export async function putReport(work: UnitOfWork, row: HostReportsTable): Promise<void> {
  const { host_id: _, ...said } = row;
  await kysely(work.query)
    .insertInto('host_reports')
    .values(row)
    .onConflict((conflict) => conflict.column('host_id').doUpdateSet(said))
    .execute();
}

/** What a host found when it looked at itself last; null: it has not said yet. */
export async function findChecks(query: Query, hostId: string): Promise<HostChecksTable | null> {
  return (
    (await kysely(query).selectFrom('host_checks').selectAll().where('host_id', '=', hostId).executeTakeFirst()) ?? null
  );
}

export async function listChecks(query: Query): Promise<HostChecksTable[]> {
  return kysely(query).selectFrom('host_checks').selectAll().orderBy('host_id').execute();
}

export async function putChecks(work: UnitOfWork, row: HostChecksTable): Promise<void> {
  const { host_id: _, ...found } = row;
  await kysely(work.query)
    .insertInto('host_checks')
    .values(row)
    .onConflict((conflict) => conflict.column('host_id').doUpdateSet(found))
    .execute();
}

const selectJournals = statement((query, given: { hostId: string }) =>
  query.selectFrom('host_journals').selectAll().where('host_id', '=', given.hostId).orderBy('journal'),
);

/** What is known of the journals of a host. */
export async function journalsOf(query: Query, hostId: string): Promise<HostJournalsTable[]> {
  return (await selectJournals(query, { hostId })).rows;
}

export async function putJournal(work: UnitOfWork, row: HostJournalsTable): Promise<void> {
  const { host_id: _, journal: __, ...known } = row;
  await kysely(work.query)
    .insertInto('host_journals')
    .values(row)
    .onConflict((conflict) => conflict.columns(['host_id', 'journal']).doUpdateSet(known))
    .execute();
}

/** What is known of a journal goes on to its next entry; nothing changes where this is another one. */
export async function moveJournal(
  work: UnitOfWork,
  next: { hostId: string; journal: JournalName; prevHash: string; hash: string; toldAt: number },
): Promise<void> {
  await kysely(work.query)
    .updateTable('host_journals')
    .set((eb) => ({ seq: eb('seq', '+', 1), hash: next.hash, head: null, told_at: next.toldAt }))
    .where('host_id', '=', next.hostId)
    .where('journal', '=', next.journal)
    .where('hash', '=', next.prevHash)
    .execute();
}

/** Whether the directory has any of these folded names, as a user's or a group's. */
export async function areServed(query: Query, names: readonly string[]): Promise<boolean> {
  if (names.length === 0) return false;
  const found = await kysely(query)
    .selectFrom('directory_names')
    .select('name')
    .where('name', 'in', [...names])
    .where('left_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}

/** Whether somebody whom the directory knows has any of these numbers, as a uid or a gid. */
export async function areAssigned(query: Query, numbers: readonly number[]): Promise<boolean> {
  const assignable = numbers.filter((number) => number <= 0xffff_ffff);
  if (assignable.length === 0) return false;
  const found = await kysely(query)
    .selectFrom('directory_ids')
    .select('number')
    .where('kind', 'in', ['uid', 'gid'])
    .where('number', 'in', assignable)
    .where('retired_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}

/** Nothing stands between these hosts and the directory any more. */
export async function admitToDirectory(work: UnitOfWork, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  // In the order in which requests of several hosts lock them: else both could wait for each other.
  if (work.driver === 'postgres') await lockHosts(work, ids);
  await kysely(work.query)
    .updateTable('hosts')
    .set({ reached: 1 })
    .where('id', 'in', [...ids])
    .execute();
  await kysely(work.query)
    .updateTable('hosts')
    .set({ report_due: 0 })
    .where('id', 'in', [...ids])
    .where('report_due', '=', 2)
    .execute();
}

export async function listAuthorities(query: Query): Promise<HostAuthoritiesTable[]> {
  return kysely(query).selectFrom('host_authorities').selectAll().orderBy('host_id').execute();
}

const selectAuthorities = statement((query, given: { hostId: string }) =>
  query.selectFrom('host_authorities').selectAll().where('host_id', '=', given.hostId),
);

export async function findAuthorities(query: Query, hostId: string): Promise<HostAuthoritiesTable | null> {
  return first(await selectAuthorities(query, { hostId }));
}

export async function putAuthorities(work: UnitOfWork, row: HostAuthoritiesTable): Promise<void> {
  const { host_id: _, ...said } = row;
  await kysely(work.query)
    .insertInto('host_authorities')
    .values(row)
    .onConflict((conflict) => conflict.column('host_id').doUpdateSet(said))
    .execute();
}

export const authoritiesOf = ({ issuer, bundle }: HostAuthoritiesTable): HostAuthorities => ({
  issuer,
  bundle: bundle.split(' '),
});
