import type { LoggedEvent } from '#shared/events.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { SinkName } from '../config/sections/audit-sinks.ts';
import type { Database } from '../db/database.ts';
import { noteDelivered } from '../events/cursor-store.ts';
import type { EventLog } from '../events/log.ts';
import { ReaderFailure } from '../events/readers.ts';
import type { Clock } from '../platform/clock.ts';
import type { EventReader, ReaderTurn } from '../platform/module.ts';
import { countDeadLetters, deleteDeadLetters, lettersToRetry, putDeadLetters } from './dead-letter-store.ts';
import { type AuditRecord, auditRecord } from './record.ts';
import { type AuditSink, mustBeSure } from './sink.ts';
import { readerOf } from './status.ts';

/**
 * A sink with so many dead letters is given nothing more until an operator has looked: a receiver that is set up wrongly
 * refuses everything, and the whole log would end there.
 */
export const MOST_DEAD_LETTERS = 1000;
const MAX_REASON = 500;

/** An event that will never be taken, and why. */
interface RefusedEvent {
  seq: number;
  reason: string;
}

export type DeliveryStatus = 'emitted' | 'failed' | 'dead_lettered';

/** The reader of the log that hands every event to one sink, at least once and in order. */
export function createDelivery(deps: {
  sink: AuditSink;
  db: Pick<Database, 'query' | 'transaction'>;
  events: Pick<EventLog, 'read'>;
  clock: Clock;
  /** Most events that are in memory for it. */
  bufferSize: number;
  mostDeadLetters?: number;
  counted: (sink: SinkName, status: DeliveryStatus, count: number) => void;
}): EventReader {
  const { sink, db, events, clock, counted, mostDeadLetters = MOST_DEAD_LETTERS } = deps;

  const letterOf = (one: RefusedEvent) => ({ sink: sink.name, ...one, at: clock.now() });

  async function attempt(records: readonly AuditRecord[], turn: ReaderTurn) {
    mustBeSure(turn);
    try {
      return await sink.deliver(records, turn);
    } catch (error) {
      // The server stops: nothing went wrong.
      if (!turn.signal.aborted) counted(sink.name, 'failed', 1);
      throw error;
    }
  }

  /** Delivers them in their order. What the receiver refuses for good is found by trying one at a time. */
  async function deliver(records: readonly AuditRecord[], turn: ReaderTurn) {
    const refused: RefusedEvent[] = [];
    let rest = records;
    /** So many come before the one that the receiver names. */
    let clean = 0;
    let alone = false;
    /** The receiver names none, so each of the rest is tried alone. */
    let blind = false;
    while (rest.length > 0) {
      const part: readonly AuditRecord[] = clean > 0 ? rest.slice(0, clean) : alone || blind ? rest.slice(0, 1) : rest;
      const answer = await attempt(part, turn);
      if (answer !== null && part.length > 1) {
        const at = answer.at !== null && answer.at >= 0 && answer.at < part.length ? answer.at : null;
        blind ||= at === null;
        clean = at ?? 0;
        alone = true;
        continue;
      }
      if (answer !== null)
        refused.push({ seq: part[0]!.event.seq, reason: visibleText(answer.reason.slice(0, MAX_REASON)) });
      rest = rest.slice(part.length);
      alone = clean > 0;
      clean = 0;
    }
    return refused;
  }

  /**
   * Those that an operator wants to be tried again, each alone. What comes of one is written at once: else it would be tried
   * again with each event that cannot be delivered meanwhile.
   */
  async function retry(turn: ReaderTurn): Promise<void> {
    for (const { seq } of await lettersToRetry(db.query, sink.name)) {
      const [event] = await events.read(seq - 1, 1);
      const isThere = event?.seq === seq;
      const again = isThere ? await deliver([auditRecord(event)], turn) : [];
      if (again.length > 0) mustBeSure(turn);
      await db.transaction(async (work) => {
        if (again.length > 0) await putDeadLetters(work, again.map(letterOf));
        else await deleteDeadLetters(work, sink.name, [seq]);
        if (isThere && again.length === 0) await noteDelivered(work, readerOf(sink.name), clock.now());
      });
      if (isThere && again.length === 0) counted(sink.name, 'emitted', 1);
    }
  }

  return {
    async handle(batch: readonly LoggedEvent[], _signal, turn) {
      await retry(turn);
      const kept = await countDeadLetters(db.query, sink.name);
      if (kept >= mostDeadLetters) {
        const problem = `${kept} events were refused; see identree-server audit dead-letters list`;
        throw new ReaderFailure(problem, { paused: true });
      }
      const wanted = batch.filter((event) => sink.wants?.(event) ?? true);
      const refused = await deliver(wanted.map(auditRecord), turn);
      return {
        async write(work) {
          await putDeadLetters(work, refused.map(letterOf));
          // What was refused or is not for it moves the cursor as well.
          if (wanted.length > refused.length) await noteDelivered(work, readerOf(sink.name), clock.now());
        },
        done() {
          counted(sink.name, 'emitted', wanted.length - refused.length);
          counted(sink.name, 'dead_lettered', refused.length);
        },
      };
    },
    ...(sink.comesAgain ? { comesAgain: () => sink.comesAgain!() } : {}),
    close: () => sink.close(),
    batch: Math.min(sink.batch, deps.bufferSize),
    ahead: deps.bufferSize,
    ...(sink.everyMs === undefined ? {} : { everyMs: sink.everyMs }),
    tellsItself: true,
  };
}
