import { Refusal } from '#shared/errors.ts';
import { type HostChecks, hostChecks, MAX_CHECKS_BYTES } from '#shared/host-checks.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { Clock } from '../platform/clock.ts';
import * as store from './store.ts';

/** What a host found, as it is kept. */
export interface KeptChecks extends Pick<HostChecks, 'lines'> {
  readonly hostId: string;
  /** By the server's clock. */
  readonly at: number;
}

/** @returns null for a row that nobody can read: it says nothing */
function readRow(row: Awaited<ReturnType<typeof store.listChecks>>[number]): KeptChecks | null {
  try {
    const { lines } = hostChecks.pick({ lines: true }).parse({ lines: JSON.parse(row.lines) });
    return { hostId: row.host_id, at: row.checked_at, lines };
  } catch {
    return null;
  }
}

export type Checks = ReturnType<typeof createChecks>;

/** What hosts find when they look at themselves. It comes with heartbeats and is for people to read. */
export function createChecks({ db, clock }: { db: Database; clock: Clock }) {
  return {
    /** Keeps what an admitted host says it found. @throws Refusal */
    async keep(work: UnitOfWork, host: Pick<store.Host, 'id'>, { lines }: HostChecks): Promise<void> {
      const text = JSON.stringify(lines);
      if (Buffer.byteLength(text) > MAX_CHECKS_BYTES) throw new Refusal('bad_request');
      await store.putChecks(work, { host_id: host.id, checked_at: clock.now(), lines: text });
    },

    all: async (): Promise<KeptChecks[]> => (await store.listChecks(db.query)).flatMap((row) => readRow(row) ?? []),

    async of(hostId: string): Promise<KeptChecks | null> {
      const row = await store.findChecks(db.query, hostId);
      return row === null ? null : readRow(row);
    },
  };
}
