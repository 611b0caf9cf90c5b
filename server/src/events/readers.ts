import type { Logger } from 'pino';
import type { EventRecord } from '#shared/events.ts';
import type { Database } from '../db/database.ts';
import { createTurn, type Lease, type Leases } from '../db/leases.ts';
import { DatabaseTrouble } from '../db/trouble.ts';
import type { Clock } from '../platform/clock.ts';
import type { EventReader } from '../platform/module.ts';
import { findCursor, insertCursor, listCursors, moveCursor, noteProblem } from './cursor-store.ts';
import type { EventLog } from './log.ts';

/** A reader that is at work, or waits until it is its turn. */
export interface RunningReader {
  /** Ends it; what is under way is finished or given up, and another process may go on. */
  stop(): Promise<void>;
}

/** How far a reader has come, in whichever process it works. */
export interface ReaderStatus {
  readonly reader: string;
  /** Events that it has not dealt with yet. */
  readonly behind: number;
  /** How long the oldest of them has been waiting, milliseconds. */
  readonly behindMs: number;
  /** The process that has the turn; null while none has. */
  readonly holder: string | null;
  /** Whether that is this process. */
  readonly here: boolean;
  /** What went wrong the last time; null when that went well. */
  readonly problem: string | null;
}

/** Starts readers of the event log, and says how they fare. */
export type EventReaders = ReturnType<typeof createEventReaders>;

const BATCH = 200;
/** Safety net when a notification is lost, milliseconds. */
const LOOK_EVERY_MS = 1000;
const RETRY_MS = [1000, 2000, 5000, 15_000, 60_000];
/** How long a handler that is told to stop may take for it, milliseconds. */
const STOP_WITHIN_MS = 5000;

/**
 * Durable readers of the event log: each has a cursor in the database, sees every event at least once and in order, and
 * goes on after a crash where it was. One process of all reads at a time; one that was stopped meanwhile finds its lease
 * gone and moves nothing. Sequence numbers are given one after the other under a lock that is held until the commit, so no
 * event ever becomes visible behind a cursor.
 */
export function createEventReaders(deps: {
  db: Database;
  events: Pick<EventLog, 'read' | 'head' | 'follow'>;
  leases: Leases;
  clock: Clock;
  log: Pick<Logger, 'error'>;
}) {
  const { db, events, leases, clock, log } = deps;
  const names = new Set<string>();
  const leaseOf = (name: string) => `reader ${name}`;

  async function statusOf(reader: string, cursor: { seq: number; problem: string | null } | undefined, head: number) {
    const [next] = cursor ? await events.read(cursor.seq, 1) : [];
    const holder = await leases.holderOf(leaseOf(reader));
    return {
      reader,
      behind: cursor ? Math.max(0, head - cursor.seq) : 0,
      behindMs: next ? Math.max(0, clock.now() - next.at) : 0,
      holder,
      here: holder === leases.holder,
      problem: cursor?.problem ?? null,
    };
  }

  return {
    /** The state of each reader that was started here. */
    async status(): Promise<ReaderStatus[]> {
      const [head, cursors] = [await events.head(), await listCursors(db.query)];
      const known = new Map(cursors.map((cursor) => [cursor.reader, cursor]));
      return Promise.all([...names].map((reader) => statusOf(reader, known.get(reader), head.seq)));
    },

    /**
     * Starts a reader. Its name is its identity: another name begins anew.
     *
     * @throws when this process has a reader of that name: both would believe that they have the turn.
     */
    consume(name: string, { handle, from = 'start', everyMs = 0 }: EventReader): RunningReader {
      if (names.has(name)) throw new Error(`there is already a reader of the event log that is called ${name}`);
      names.add(name);
      const stopping = new AbortController();
      let wake = () => {};
      let fresh = true;
      const unfollow = events.follow(() => {
        fresh = true;
        wake();
      });
      const turn = createTurn(leases, leaseOf(name));

      /** Resolves after `ms`; with `wakeable`, as soon as there is an event. */
      const pause = (ms: number, wakeable: boolean): Promise<void> =>
        new Promise((resolve) => {
          const done = () => {
            clearTimeout(timer);
            wake = () => {};
            stopping.signal.removeEventListener('abort', done);
            resolve();
          };
          const timer = setTimeout(done, ms).unref();
          stopping.signal.addEventListener('abort', done);
          if (wakeable) wake = done;
          if (stopping.signal.aborted || (wakeable && fresh)) done();
        });

      /** Lets the handler work, and gives it up when it is no longer its turn or the server stops. */
      async function handleUnder(lease: Lease, batch: readonly EventRecord[]) {
        const ours = new AbortController();
        let renewedAt = performance.now();
        const renew = async (): Promise<void> => {
          const askedAt = performance.now();
          try {
            if ((await turn.has())?.fence !== lease.fence) ours.abort();
            else renewedAt = askedAt;
          } catch {
            // The database is away. It may be there for others, and one of them has the turn by now.
            if (performance.now() - renewedAt > leases.lifeMs) ours.abort();
          }
        };
        const renewal = setInterval(() => void renew(), leases.renewEveryMs).unref();
        let patience: NodeJS.Timeout | undefined;
        let onStop = () => {};
        const tooLong = new Promise<never>((_, reject) => {
          onStop = () => {
            patience = setTimeout(() => {
              log.error(
                { reader: name },
                'a reader of the event log did not stop when it was told to; it is left behind',
              );
              reject(new Error('it did not stop when it was told to'));
            }, STOP_WITHIN_MS);
          };
          stopping.signal.addEventListener('abort', onStop);
        });
        const work = (async () => handle(batch, AbortSignal.any([stopping.signal, ours.signal])))();
        try {
          return await Promise.race([work, tooLong]);
        } finally {
          clearInterval(renewal);
          clearTimeout(patience);
          stopping.signal.removeEventListener('abort', onStop);
          work.catch(() => {});
        }
      }

      /** Deals with one batch. True: there may be more. */
      async function step(lease: Lease): Promise<boolean> {
        fresh = false;
        const batch = await events.read(await cursorOf(), BATCH);
        if (batch.length === 0 || stopping.signal.aborted) return false;
        const confirmed = await handleUnder(lease, batch);
        const moved = await db.transaction(async (work) => {
          // The fence of when it was read: what a successor has dealt with meanwhile is not ours to confirm.
          if (!(await leases.stillHas(work, lease))) return false;
          await moveCursor(work, name, batch.at(-1)!.seq, clock.now());
          return true;
        });
        if (moved) confirmed?.();
        else turn.lost();
        return moved && batch.length === BATCH;
      }

      async function cursorOf(): Promise<number> {
        const cursor = await findCursor(db.query, name);
        if (cursor) return cursor.seq;
        const seq = from === 'now' ? (await events.head()).seq : 0;
        await db.transaction((work) => insertCursor(work, name, seq, clock.now()));
        return (await findCursor(db.query, name))?.seq ?? seq;
      }

      /** Says what went wrong, unless a successor has got further. */
      async function fail(error: unknown, lease: Lease | null): Promise<void> {
        log.error({ err: error, reader: name }, 'a reader of the event log failed; it tries again');
        if (lease === null) return;
        const problem = error instanceof Error ? error.message : String(error);
        await db
          .transaction(async (work) => {
            if (await leases.stillHas(work, lease)) await noteProblem(work, name, problem.slice(0, 500));
          })
          .catch(() => {});
      }

      const running = (async () => {
        let failures = 0;
        while (!stopping.signal.aborted) {
          let lease: Lease | null = null;
          try {
            lease = await turn.has();
            if (lease === null) {
              // Events are no reason to look again: they are another process's to deal with.
              await pause(leases.renewEveryMs, false);
              continue;
            }
            const more = await step(lease);
            failures = 0;
            if (more) continue;
            if (everyMs > 0) await pause(everyMs, false);
            await pause(LOOK_EVERY_MS, true);
          } catch (error) {
            if (stopping.signal.aborted) break;
            if (error instanceof DatabaseTrouble) {
              // It says so itself, and answers at once while it is away: looking often costs nothing.
              await pause(LOOK_EVERY_MS, false);
              continue;
            }
            await fail(error, lease);
            await pause(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]!, false);
            failures += 1;
          }
        }
        unfollow();
        names.delete(name);
        await turn.release().catch(() => {});
      })();

      return {
        async stop() {
          stopping.abort();
          await running;
        },
      };
    },
  };
}
