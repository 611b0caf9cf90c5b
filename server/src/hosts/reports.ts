import { Refusal } from '#shared/errors.ts';
import { type HostReport, hostReport, MAX_REPORT_BYTES, reportDigest } from '#shared/host-api.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import * as store from './store.ts';

/** Reports come with heartbeats. A host that says something else all the time would fill the log with it. */
const LEAST_GAP_MS = 10_000;

/** A report as it is kept. */
export interface KeptReport {
  readonly hostId: string;
  readonly digest: string;
  readonly reportedAt: number;
  readonly report: HostReport;
}

/** @returns null for a row that nobody can read: it says nothing */
function readRow(row: Awaited<ReturnType<typeof store.listReports>>[number]): KeptReport | null {
  try {
    const report = hostReport.parse(JSON.parse(row.report));
    return { hostId: row.host_id, digest: row.digest, reportedAt: row.reported_at, report };
  } catch {
    return null;
  }
}

/** Every report that can be read. */
export async function readReports(query: Database['query']): Promise<KeptReport[]> {
  return (await store.listReports(query)).flatMap((row) => readRow(row) ?? []);
}

/**
 * Reads reports again and again, and only those that changed: a thousand hosts say twenty megabytes.
 *
 * @returns every report that can be read, by host id
 */
export function createReportReader(query: Database['query']): () => Promise<readonly KeptReport[]> {
  let known = new Map<string, { digest: string; kept: KeptReport | null }>();
  return async () => {
    const next: typeof known = new Map();
    for (const { host_id, digest } of await store.listReportDigests(query)) {
      const last = known.get(host_id);
      if (last?.digest === digest) {
        next.set(host_id, last);
        continue;
      }
      const row = await store.findReport(query, host_id);
      if (row) next.set(host_id, { digest: row.digest, kept: readRow(row) });
    }
    known = next;
    return [...next.values()].flatMap(({ kept }) => kept ?? []);
  };
}

export type Reports = ReturnType<typeof createReports>;

/** What hosts say of themselves: who has power on them by files of their own, and how their gate is. */
export function createReports(deps: { db: Database; events: Pick<EventLog, 'append'>; clock: Clock }) {
  const { db, events, clock } = deps;
  return {
    /** Digest of what a host said last; null: nothing. */
    reportDigestOf: async (work: UnitOfWork, hostId: string): Promise<string | null> =>
      (await store.findReport(work.query, hostId))?.digest ?? null,

    /** Keeps what an admitted host says of itself. @throws Refusal */
    async keepReport(work: UnitOfWork, host: store.Host, report: HostReport): Promise<void> {
      const text = JSON.stringify(report);
      if (Buffer.byteLength(text) > MAX_REPORT_BYTES) throw new Refusal('bad_request');
      const last = await store.findReport(work.query, host.id);
      const digest = reportDigest(report);
      if (last?.digest === digest) return;
      const now = clock.now();
      if (last && now - last.reported_at < LEAST_GAP_MS) throw new Refusal('rate_limited');
      await store.putReport(work, { host_id: host.id, digest, report: text, reported_at: now });
      if (host.report_due !== 0) {
        // The round that follows says whether anybody has the names and numbers; until then they count as had.
        const of = (...types: string[]) =>
          report.grants.flatMap(({ type, name }) => (types.includes(type) ? name : []));
        const names = new Set(of('user', 'group').map((name) => name.toLowerCase()));
        const numbers = new Set(of('uid', 'gid').flatMap((text) => (/^[0-9]+$/.test(text) ? Number(text) : [])));
        const met =
          (await store.areServed(work.query, [...names])) || (await store.areAssigned(work.query, [...numbers]));
        await store.updateHost(work, host.id, { report_due: met ? 2 : 0 });
      }
      await events.append(work, {
        event: 'host_reported',
        username: '',
        hostId: host.id,
        hostname: host.hostname,
        data: {
          grants: report.grants.length,
          accounts: report.accounts.length,
          unread: report.unread,
          drift: report.drift,
          cut: report.cut,
        },
      });
    },

    reports: () => readReports(db.query),
  };
}
