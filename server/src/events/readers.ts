import type { Logger } from 'pino';
import type { EventRecord } from '#shared/events.ts';
import type { Database } from '../db/database.ts';
import { createTurn, type Leases } from '../db/leases.ts';
import type { Clock } from '../platform/clock.ts';
import type { EventReader } from '../platform/module.ts';
import { findCursor, insertCursor, moveCursor, noteProblem } from './cursor-store.ts';
import type { EventLog } from './log.ts';

/** A reader that is at work, or waits until it is its turn. */
export interface RunningReader {
  /** Ends it; what is under way is finished or given up, and another process may go on. */
  stop(): Promise<void>;
}

const BATCH = 200;
/** Safety net when a notification is lost, milliseconds. */
const LOOK_EVERY_MS = 1000;
const RETRY_MS = [1000, 2000, 5000, 15_000, 60_000];

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

  return {
    /** Starts a reader. Its name is its identity: another name begins anew. */
    consume(name: string, { handle, from = 'start', everyMs = 0 }: EventReader): RunningReader {
      const stopping = new AbortController();
      let wake = () => {};
      let fresh = true;
      const unfollow = events.follow(() => {
        fresh = true;
        wake();
      });
      const turn = createTurn(leases, `reader ${name}`);

      /** Resolves after `ms`, sooner when it is woken and `evenIfFresh` is not asked to be waited out. */
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

      /** Renews the lease while the handler works; gives the handler up when another process has taken over. */
      async function handleUnder(fence: number, batch: readonly EventRecord[]) {
        const ours = new AbortController();
        const renewal = setInterval(
          () =>
            void turn.has().then(
              (lease) => {
                if (lease?.fence !== fence) ours.abort();
              },
              // The database is away; whether it is still our turn is asked again before anything is written.
              () => {},
            ),
          leases.renewEveryMs,
        ).unref();
        try {
          return await handle(batch, AbortSignal.any([stopping.signal, ours.signal]));
        } finally {
          clearInterval(renewal);
        }
      }

      /** One batch. True: there may be more. */
      async function step(): Promise<boolean> {
        const lease = await turn.has();
        if (lease === null) return false;
        fresh = false;
        const batch = await events.read(await cursorOf(), BATCH);
        if (batch.length === 0) return false;
        const confirmed = await handleUnder(lease.fence, batch);
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

      async function fail(error: unknown, failures: number): Promise<void> {
        log.error({ err: error, reader: name }, 'a reader of the event log failed; it tries again');
        const problem = error instanceof Error ? error.message : String(error);
        await db.transaction((work) => noteProblem(work, name, problem.slice(0, 500))).catch(() => {});
        await pause(RETRY_MS[Math.min(failures, RETRY_MS.length) - 1]!, false);
      }

      const running = (async () => {
        let failures = 0;
        while (!stopping.signal.aborted) {
          try {
            const more = await step();
            failures = 0;
            if (more) continue;
            if (everyMs > 0) await pause(everyMs, false);
            await pause(LOOK_EVERY_MS, true);
          } catch (error) {
            if (stopping.signal.aborted) break;
            failures += 1;
            await fail(error, failures);
          }
        }
        unfollow();
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
