import type { Logger } from 'pino';
import type { LoggedEvent } from '#shared/events.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Database } from '../db/database.ts';
import { createTurn, type Lease, type Leases } from '../db/leases.ts';
import type { EventCursorsTable } from '../db/schema.ts';
import { DatabaseTrouble } from '../db/trouble.ts';
import type { Clock } from '../platform/clock.ts';
import type { EventReader } from '../platform/module.ts';
import { findCursor, insertCursor, listCursors, moveCursor, moveCursorBack, noteProblem } from './cursor-store.ts';
import type { EventLog } from './log.ts';

/** A reader that is at work, or waits until it is its turn. */
export interface RunningReader {
  readonly name: string;
  /** Ends it; what is under way is finished or given up, and another process may go on. */
  stop(): Promise<void>;
}

/** How far a reader has come, in whichever process it works. */
export interface ReaderStatus {
  readonly reader: string;
  /** The newest event that it has dealt with. */
  readonly seq: number;
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
  /** Whether it waits for an operator to mend that. */
  readonly paused: boolean;
  /** When it last delivered something, milliseconds; null: it never did, or is for something else. */
  readonly deliveredAt: number | null;
  /** What went wrong last, also once it gets on again; null when nothing ever did. */
  readonly failure: { readonly text: string; readonly at: number } | null;
  /** Its health is told by the module that it belongs to. */
  readonly tellsItself: boolean;
}

/** Why a reader does not get on, where it knows when to try again, or that only an operator can mend it. */
export class ReaderFailure extends Error {
  /** Tried again after so long, milliseconds; null: sooner at first, and later each time. */
  readonly retryMs: number | null;
  readonly paused: boolean;

  constructor(message: string, { retryMs = null, paused = false }: { retryMs?: number | null; paused?: boolean } = {}) {
    super(message);
    this.retryMs = retryMs;
    this.paused = paused;
  }
}

/** Starts readers of the event log, and says how they fare. */
export type EventReaders = ReturnType<typeof createEventReaders>;

const BATCH = 200;
/** While events come, they are dealt with together so often: each time a cursor is written, and the disk is waited for. */
const EVERY_MS = 50;
/** Safety net when a notification is lost, milliseconds. */
const LOOK_EVERY_MS = 1000;
const RETRY_MS = [1000, 2000, 5000, 15_000, 60_000];
/** No receiver may put it off for longer, milliseconds. */
const LONGEST_RETRY_MS = 5 * 60_000;
/** So often in a row it may be tried again as soon as it asks for. */
const FREE_RETRIES = 5;
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
  const known = new Map<string, EventReader>();
  const leaseOf = (name: string) => `reader ${name}`;

  async function statusOf(reader: string, cursor: EventCursorsTable | undefined, head: number): Promise<ReaderStatus> {
    // One that has no cursor yet is about to begin.
    const seq = cursor?.seq ?? (known.get(reader)?.from === 'now' ? head : 0);
    const [next] = seq < head ? await events.read(seq, 1) : [];
    const holder = await leases.holderOf(leaseOf(reader));
    return {
      reader,
      seq,
      behind: Math.max(0, head - seq),
      behindMs: next ? Math.max(0, clock.now() - next.at) : 0,
      holder,
      here: holder === leases.holder,
      problem: cursor?.problem ?? null,
      paused: cursor?.paused === 1,
      deliveredAt: cursor?.delivered_at ?? null,
      failure: cursor?.failure == null ? null : { text: cursor.failure, at: cursor.failed_at ?? 0 },
      tellsItself: known.get(reader)?.tellsItself ?? false,
    };
  }

  return {
    /** The state of each reader that was started here. */
    async status(): Promise<ReaderStatus[]> {
      const [head, cursors] = [await events.head(), await listCursors(db.query)];
      const cursorOf = new Map(cursors.map((cursor) => [cursor.reader, cursor]));
      return Promise.all([...known.keys()].map((reader) => statusOf(reader, cursorOf.get(reader), head.seq)));
    },

    /**
     * Starts a reader. Its name is its identity: another name begins anew.
     *
     * @throws when this process has a reader of that name: both would believe that they have the turn.
     */
    consume(name: string, reader: EventReader): RunningReader {
      const { from = 'start', everyMs = EVERY_MS, batch: most = BATCH } = reader;
      const window = Math.max(most, reader.ahead ?? 0);
      if (known.has(name)) throw new Error(`there is already a reader of the event log that is called ${name}`);
      known.set(name, reader);
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
      async function handleUnder(lease: Lease, batch: readonly LoggedEvent[]) {
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
        const signal = AbortSignal.any([stopping.signal, ours.signal]);
        const isSure = () => !ours.signal.aborted && turn.isSure();
        const work = (async () => reader.handle(batch, signal, { signal, isSure }))();
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
        await goBack();
        const cursor = await cursorOf();
        const batch = await next(cursor);
        if (batch.length === 0 || stopping.signal.aborted) return false;
        const result = await handleUnder(lease, batch);
        const dealt = typeof result === 'function' ? { done: result } : result;
        const outcome = await db.transaction(
          async (work) => {
            // The fence of when it was read: what a successor has dealt with meanwhile is not ours to confirm.
            if (!(await leases.stillHas(work, lease))) return 'lost';
            if (!(await moveCursor(work, name, { from: cursor, to: batch.at(-1)!.seq }, clock.now()))) return 'again';
            await dealt?.write?.(work);
            return 'moved';
          },
          { mayBeLost: reader.mayRepeat === true },
        );
        if (outcome === 'lost') turn.lost();
        if (outcome === 'moved') dealt?.done?.();
        return outcome === 'again' || (outcome === 'moved' && batch.length === most);
      }

      /** What was read from the database and not given to the handler yet. */
      let ahead: readonly LoggedEvent[] = [];

      async function next(cursor: number): Promise<readonly LoggedEvent[]> {
        // Another process may have been at work since it was read, or everything comes again.
        if (ahead[0]?.seq !== cursor + 1) ahead = await events.read(cursor, window);
        const batch = ahead.slice(0, most);
        ahead = ahead.slice(most);
        return batch;
      }

      /**
       * Moves the cursor back to where everything has to come again, and that before anything else: the reader may die. Whose
       * turn it is by now does not matter: what cut this process off from the database may have cut it off from where it took
       * events to, and its successor knows nothing of them.
       */
      async function goBack(): Promise<void> {
        const again = (await reader.comesAgain?.()) ?? null;
        if (again === null) return;
        await db.transaction((work) => moveCursorBack(work, name, again.after));
        again.noted();
      }

      /** What was found to be lost since the last batch, which the next process would not know. */
      async function goBackAtLast(): Promise<void> {
        try {
          await goBack();
        } catch (err) {
          log.error({ err, reader: name }, 'what may have been lost does not come again');
        }
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
        // Part of it may be what a receiver said: no database holds all of that, and nobody would learn that it failed.
        const text = visibleText((error instanceof Error ? error.message : String(error)).slice(0, 500));
        const paused = error instanceof ReaderFailure && error.paused;
        await db
          .transaction(async (work) => {
            if (!(await leases.stillHas(work, lease))) return;
            await noteProblem(work, name, { problem: text, at: clock.now(), paused });
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
              await goBack();
              // Events are no reason to look again: they are another process's to deal with.
              await pause(leases.renewEveryMs, false);
              continue;
            }
            const more = await step(lease);
            failures = 0;
            if (more) continue;
            await pause(everyMs, false);
            await pause(LOOK_EVERY_MS, true);
          } catch (error) {
            if (stopping.signal.aborted) break;
            if (error instanceof DatabaseTrouble) {
              // It says so itself, and answers at once while it is away: looking often costs nothing.
              await pause(LOOK_EVERY_MS, false);
              continue;
            }
            await fail(error, lease);
            const soon = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]!;
            const asked = error instanceof ReaderFailure ? error.retryMs : null;
            // Nor may one that always says "now" have this process do nothing else.
            const least = failures < FREE_RETRIES ? 0 : RETRY_MS[0]!;
            await pause(Math.min(Math.max(asked ?? soon, least), LONGEST_RETRY_MS), false);
            failures += 1;
          }
        }
        unfollow();
        known.delete(name);
        await goBackAtLast();
        // Before another process begins: two that have the same thing open would be in each other's way.
        await reader
          .close?.()
          .catch((err: unknown) => log.error({ err, reader: name }, 'what a reader had open is left'));
        // The end of a connection may have told it.
        await goBackAtLast();
        await turn.release().catch(() => {});
      })();

      return {
        name,
        async stop() {
          stopping.abort();
          await running;
        },
      };
    },
  };
}
