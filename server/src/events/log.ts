import { canonicalJson } from '#shared/canonical-json.ts';
import { type EventName, type EventRecord, type LoggedEvent, sealEvent } from '#shared/events.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { Clock } from '../platform/clock.ts';
import { type Random, randomText, systemRandom } from '../platform/random.ts';
import { appendEvents, type Head, lockHead as lockRow, readEvents, readHead } from './store.ts';

/** What a module says about a change; everything it leaves out is null. */
export interface NewEvent {
  event: EventName;
  username: string;
  hostId?: string | null;
  hostname?: string | null;
  challengeId?: string | null;
  code?: string | null;
  actor?: string | null;
  reason?: string | null;
  remoteAddr?: string | null;
  data?: Record<string, unknown>;
}

/** Called with each new event, in order, after it is durable. */
export type EventReader = (event: EventRecord) => void;

/**
 * The bus. A change and its event commit together; readers see events in order, each with their own cursor, whichever
 * process wrote them.
 */
export interface EventLog {
  /** Appends within the transaction of the change that it reports. */
  append(work: UnitOfWork, event: NewEvent): Promise<EventRecord>;
  /** The same of several changes of one transaction, in their order. */
  appendAll(work: UnitOfWork, events: readonly NewEvent[]): Promise<EventRecord[]>;
  /**
   * The newest event, which stays that until the transaction ends or appends: everybody else who appends waits. For those
   * who write only what nobody else has written meanwhile.
   */
  lockHead(work: UnitOfWork): Promise<Head>;
  /** Events after `seq`, oldest first. */
  read(after: number, limit: number): Promise<LoggedEvent[]>;
  /** The newest event that was found and cannot be read, since this process started; null when there was none. */
  unreadable(): number | null;
  /** Newest event: sequence number and hash. */
  head(): Promise<Head>;
  /** Follows the log from now on. Returns a function that stops it. */
  follow(reader: EventReader): () => void;
  /** Another part of this process has written events: readers get them now, not within a second. */
  wake(): void;
  /** Resolves when nothing is read any more: the database may go then. */
  close(): Promise<void>;
}

/** Octets of randomness that keep an erased payload from being tried out. */
const SALT_BYTES = 16;

/** How many transactions of this process go for the head of the log at a time: one has it, and one is given it next. */
const AT_THE_HEAD = 2;

/**
 * Lets few transactions at a time go for the head of the log. More could not append anyway; but each that waits for it in
 * the database is given it, and should this process be frozen, holds it up for all others, one after the other.
 *
 * @returns waits until it is the turn of a transaction, which has it until it ends
 */
function createTurns(): (work: UnitOfWork) => Promise<void> {
  const turns = new WeakMap<UnitOfWork, Promise<void>>();
  const waiting: (() => void)[] = [];
  let free = AT_THE_HEAD;
  function next(): void {
    const go = waiting.shift();
    if (go) go();
    else free += 1;
  }
  return (work) => {
    const known = turns.get(work);
    if (known) return known;
    const turn = new Promise<void>((resolve) => {
      if (free > 0) {
        free -= 1;
        work.onEnd(next);
        resolve();
        return;
      }
      const go = () => {
        work.onEnd(next);
        resolve();
      };
      waiting.push(go);
      // One that ends while it waits gives its place away.
      work.onEnd(() => {
        const at = waiting.indexOf(go);
        if (at >= 0) waiting.splice(at, 1);
      });
    });
    turns.set(work, turn);
    return turn;
  };
}

/**
 * The writing end of the log alone, for threads that report changes and read nothing.
 *
 * @param deps.onAppended called after an event is durable.
 */
export function createEventAppender(deps: {
  db: Pick<Database, 'notify'>;
  clock: Clock;
  random?: Random;
  onAppended: () => void;
  onError: (error: unknown) => void;
}): Pick<EventLog, 'append' | 'appendAll' | 'lockHead'> {
  const { random = systemRandom } = deps;
  const turnOf = createTurns();
  let telling = false;
  let again = false;

  /** Tells the others. What is appended while they are told is told once, whatever there is of it. */
  async function tell(): Promise<void> {
    again = true;
    if (telling) return;
    telling = true;
    try {
      while (again) {
        again = false;
        await deps.db.notify();
      }
    } catch (error) {
      deps.onError(error);
    } finally {
      telling = false;
    }
  }

  async function lockHead(work: UnitOfWork): Promise<Head> {
    // On SQLite there is one writer anyway. Who locked it without a turn would need one to append, and those who have them
    // would wait for the lock.
    if (work.driver === 'postgres') await turnOf(work);
    return lockRow(work.query);
  }

  async function appendAll(work: UnitOfWork, events: readonly NewEvent[]): Promise<EventRecord[]> {
    if (events.length === 0) return [];
    let head = await lockHead(work);
    const sealed: EventRecord[] = [];
    for (const event of events) {
      const unsealed = {
        seq: head.seq + 1,
        at: deps.clock.now(),
        event: event.event,
        username: event.username,
        hostId: event.hostId ?? null,
        hostname: event.hostname ?? null,
        challengeId: event.challengeId ?? null,
        code: event.code ?? null,
        actor: event.actor ?? null,
        reason: event.reason ?? null,
        remoteAddr: event.remoteAddr ?? null,
        // Stored and hashed in the same canonical form, so that reading it back gives the same hash.
        data: JSON.parse(canonicalJson(event.data ?? {})) as Record<string, unknown>,
        prevHash: head.hash,
      };
      const one = sealEvent(unsealed, randomText(random, SALT_BYTES));
      sealed.push(one);
      head = one;
    }
    await appendEvents(work, sealed);
    work.afterCommit(() => {
      deps.onAppended();
      void tell();
    });
    return sealed;
  }

  return {
    lockHead,
    appendAll,
    append: async (work, event) => (await appendAll(work, [event]))[0]!,
  };
}

const BATCH = 200;
/** Safety net when a notification is lost, milliseconds. */
const CATCH_UP_MS = 1000;

export async function createEventLog(deps: {
  db: Database;
  clock: Clock;
  onError: (error: unknown) => void;
  /** Called with each event that cannot be read, each time that it is found. */
  onUnreadable?: (event: LoggedEvent) => void;
}): Promise<EventLog> {
  const { db } = deps;
  const readers = new Set<EventReader>();
  let cursor = (await readHead(db.query)).seq;
  let pumping: Promise<void> | null = null;
  let again = false;
  let closed = false;
  let unreadable: number | null = null;

  /** Readers go on behind an event that cannot be read: it stays so, and what comes after it must not wait. */
  async function read(after: number, limit: number): Promise<LoggedEvent[]> {
    const events = await readEvents(db.query, after, limit);
    for (const event of events) {
      if (!event.unreadable) continue;
      unreadable = Math.max(unreadable ?? 0, event.seq);
      deps.onUnreadable?.(event);
    }
    return events;
  }

  function pump(): void {
    if (closed) return;
    again = true;
    pumping ??= readOn();
  }

  let due = false;
  /** Reads on in the next turn of the event loop: whoever made the change is answered first, and a host waits for that. */
  function pumpNext(): void {
    if (due) return;
    due = true;
    setImmediate(() => {
      due = false;
      pump();
    });
  }

  /** Gives readers what is new, until there is no more. */
  async function readOn(): Promise<void> {
    try {
      do {
        again = false;
        for (;;) {
          const events = await read(cursor, BATCH);
          for (const event of events) {
            cursor = event.seq;
            for (const reader of readers) {
              try {
                reader(event);
              } catch (error) {
                deps.onError(error);
              }
            }
          }
          if (closed || events.length < BATCH) break;
        }
      } while (again && !closed);
    } catch (error) {
      deps.onError(error);
    } finally {
      pumping = null;
    }
  }

  const stopListening = db.onNotify(pump);
  const timer = setInterval(pump, CATCH_UP_MS).unref();
  const appender = createEventAppender({
    db,
    clock: deps.clock,
    onAppended: pumpNext,
    onError: (error) => {
      if (!closed) deps.onError(error);
    },
  });

  return {
    append: appender.append,
    appendAll: appender.appendAll,
    lockHead: appender.lockHead,
    read,
    unreadable: () => unreadable,
    head: () => readHead(db.query),
    follow(reader) {
      readers.add(reader);
      return () => readers.delete(reader);
    },
    wake: pump,
    async close() {
      closed = true;
      clearInterval(timer);
      stopListening();
      readers.clear();
      await pumping;
    },
  };
}
