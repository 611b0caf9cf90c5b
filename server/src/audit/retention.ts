import { eventKind, isAsHashed, isErased, type LoggedEvent, type Topic } from '#shared/events.ts';
import type { SinkName } from '../config/sections/audit-sinks.ts';
import type { Database } from '../db/database.ts';
import { erasePayloads, moveErasedTo, readErasedTo } from '../events/erasure-store.ts';
import type { Erasure } from '../events/erasures.ts';
import type { EventLog } from '../events/log.ts';
import type { EventReaders } from '../events/readers.ts';
import type { Clock } from '../platform/clock.ts';
import { nextTurn } from '../platform/slices.ts';
import type { Archive } from './archive.ts';
import { oldestDeadLetter } from './dead-letter-store.ts';
import { auditRecord } from './record.ts';

const DAY_MS = 86_400_000;
/**
 * What was delivered less long ago may have to come again: longer than the longest window of a receiver that confirms
 * nothing, milliseconds.
 */
export const SETTLED_MS = 2 * 3_600_000;
/** Who has tried nothing for longer does not know how it goes, milliseconds. */
const FAILING_MS = 30 * 60_000;
/** Events of one file of the archive, and of one transaction. */
const SEGMENT = 1000;
/** Events that are looked at before others have their turn. */
const PAGE = 250;

/** Pure rule: events of before this have had their days. Whole days, so that there is one file a day and not one an hour. */
export const dueBefore = (now: number, days: number): number => Math.floor(now / DAY_MS) * DAY_MS - days * DAY_MS;

/** Events of one topic whose time is over, and how far was looked. */
interface Segment {
  from: number;
  to: number;
  due: LoggedEvent[];
  more: boolean;
}

/**
 * Erases the payload of events whose time is over, after it was archived, and says so in the log. Nothing is erased that a
 * reader has not dealt with or a sink could not deliver, and nothing that is not what its hash says: a change would go with
 * it unnoticed.
 */
export function createRetention(deps: {
  db: Database;
  events: Pick<EventLog, 'append' | 'read' | 'head'>;
  clock: Clock;
  readers: Pick<EventReaders, 'status'>;
  sinks: readonly SinkName[];
  archive: Archive;
  /** Days, by topic. */
  days: Partial<Record<Topic, number>>;
}) {
  const { db, events, clock, archive } = deps;
  let failedAt: number | null = null;
  /** How far everybody had come, and when. */
  let marks: { seq: number; at: number }[] = [];

  /** The newest event that everybody has dealt with. */
  async function deliveredTo(): Promise<number> {
    const letter = await oldestDeadLetter(db.query, deps.sinks);
    const cursors = (await deps.readers.status()).map(({ seq }) => seq);
    return Math.min((await events.head()).seq, ...cursors, ...(letter === null ? [] : [letter - 1]));
  }

  /** The newest event that everybody has dealt with for long enough that it does not come again. */
  async function settledTo(): Promise<number> {
    const now = clock.now();
    marks.push({ seq: await deliveredTo(), at: now });
    const settled = marks.findLastIndex(({ at }) => at <= now - SETTLED_MS);
    if (settled < 0) return 0;
    marks = marks.slice(settled);
    // A cursor may have gone back since.
    return Math.min(...marks.map(({ seq }) => seq));
  }

  async function nextSegment(topic: Topic, after: number, limit: number, before: number): Promise<Segment> {
    const segment: Segment = { from: after, to: after, due: [], more: false };
    while (segment.due.length < SEGMENT) {
      const page = await events.read(segment.to, PAGE);
      for (const event of page) {
        if (event.seq > limit || event.at >= before) return segment;
        if (segment.due.length === SEGMENT) return { ...segment, more: true };
        segment.to = event.seq;
        if (eventKind(event.event)?.topic !== topic || event.payloadHash === null || isErased(event)) continue;
        if (event.unreadable || !isAsHashed(event))
          throw new Error(`event ${event.seq} is not what its hash says, so nothing from there on is erased`);
        segment.due.push(event);
      }
      if (page.length < PAGE) return segment;
      await nextTurn();
    }
    return { ...segment, more: true };
  }

  async function erase(topic: Topic, { from, to, due }: Segment, before: number): Promise<void> {
    const [first, last] = [due[0], due.at(-1)];
    let said: Erasure | null = null;
    if (first && last) {
      const name = `${topic}-${first.seq}-${last.seq}`;
      const kept = await archive(
        name,
        due.map((event) => auditRecord(event).text),
      );
      const names = [...new Set(due.map(({ event }) => event))].sort();
      said = { topic, events: names, from: first.seq, to: last.seq, count: due.length, before, ...kept };
    }
    await db.transaction(async (work) => {
      if (!(await moveErasedTo(work, topic, { from, to }))) throw new Error('another server erases as well');
      if (said === null) return;
      await erasePayloads(
        work,
        due.map(({ seq }) => seq),
      );
      await events.append(work, { event: 'audit_erased', username: '', data: { ...said } });
    });
  }

  async function eraseDue(): Promise<void> {
    const limit = await settledTo();
    for (const [name, days] of Object.entries(deps.days)) {
      const topic = name as Topic;
      const before = dueBefore(clock.now(), days);
      for (let more = limit > 0; more; ) {
        const segment = await nextSegment(topic, await readErasedTo(db.query, topic), limit, before);
        if (segment.to > segment.from) await erase(topic, segment, before);
        more = segment.more;
      }
    }
  }

  return {
    /** Erases what is due. The first turns of a process only look how far everybody is. */
    async run(): Promise<void> {
      try {
        await eraseDue();
        failedAt = null;
      } catch (error) {
        failedAt = clock.now();
        throw error;
      }
    },
    /** Whether that failed the last time, in this process; by now another one may do it. */
    isFailing: (): boolean => failedAt !== null && clock.now() - failedAt < FAILING_MS,
  };
}
