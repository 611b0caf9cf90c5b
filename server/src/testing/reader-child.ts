import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, openDatabase } from '../db/database.ts';
import { createLeases, createTurn } from '../db/leases.ts';
import { createEventLog } from '../events/log.ts';
import { createEventReaders } from '../events/readers.ts';
import { systemClock } from '../platform/clock.ts';
import { startJobs } from '../platform/jobs.ts';

/** What a process is told to be, as JSON in its first argument. */
export interface ReaderChild {
  name: string;
  driver: Database['driver'];
  dsn: string;
  /** Where it notes what it does, a line each; several processes write to the same. */
  notes: string;
  lifeMs: number;
  /** It works on a batch until this file is there; null: for some milliseconds. */
  worksUntil: string | null;
}

/** What it notes: a job that ran, or the batch of events that it begins with, has ended with, and has confirmed. */
export type Note = { by: string; at: number } & (
  | { kind: 'job' }
  | { kind: 'begin' | 'end' | 'confirmed'; first: number; last: number }
);

type What = { kind: 'job' } | { kind: 'begin' | 'end' | 'confirmed'; first: number; last: number };

/** A server of which only readers and jobs are left, that waits to be killed or frozen. */
const { name, driver, dsn, notes, lifeMs, worksUntil } = JSON.parse(process.argv[2]!) as ReaderChild;
const note = (what: What): void => appendFileSync(notes, `${JSON.stringify({ by: name, at: Date.now(), ...what })}\n`);
const log = { error: () => {} };
const db = await openDatabase({ driver, dsn, maxConnections: 4 });
const events = await createEventLog({ db, clock: systemClock, onError: () => {} });
const leases = createLeases({ db, clock: systemClock, holder: `${name} ${process.pid}`, lifeMs });
createEventReaders({ db, events, leases, clock: systemClock, log }).consume('sink', {
  async handle(batch) {
    const what = { first: batch[0]!.seq, last: batch.at(-1)!.seq };
    note({ kind: 'begin', ...what });
    do await sleep(10);
    while (worksUntil !== null && !existsSync(worksUntil));
    note({ kind: 'end', ...what });
    return () => note({ kind: 'confirmed', ...what });
  },
});
const turn = createTurn(leases, 'jobs');
startJobs([{ name: 'note', everyMs: 50, run: async () => note({ kind: 'job' }) }], {
  mayRun: async () => (await turn.has()) !== null,
  log,
});
// Its timers and its reader do not keep it alive.
setInterval(() => {}, 60_000);
