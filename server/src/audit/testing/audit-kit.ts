import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { canonicalJson } from '#shared/canonical-json.ts';
import { CHAIN_START, type EventRecord, type LoggedEvent, sealEvent } from '#shared/events.ts';
import { createLeases, type Leases } from '../../db/leases.ts';
import type { OpenTestDatabase } from '../../db/test-databases.ts';
import { createEventLog, type NewEvent } from '../../events/log.ts';
import { createEventReaders } from '../../events/readers.ts';
import { manualClock } from '../../platform/clock.ts';
import type { ReaderTurn } from '../../platform/module.ts';
import { createDelivery, type DeliveryStatus } from '../delivery.ts';
import { type AuditRecord, auditRecord } from '../record.ts';
import type { AuditSink } from '../sink.ts';
import { createSinkStatuses, readerOf } from '../status.ts';

/** Waits until something holds; far longer than it takes, so that what never comes is told. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never held: ${holds}`);
    await sleep(5);
  }
}

/** The turn of a process that is alone. */
export const ownTurn = (): ReaderTurn => ({ signal: new AbortController().signal, isSure: () => true });

/** Text that every receiver has to carry: line feeds, quotes, brackets, NUL, an emoji, and 8 KiB of it. */
export const AWKWARD = `a "quoted" ] \\ back\nnew line\r\ttab \u0000 nul 🔑 ${'ünï'.repeat(1200)}`;

/** Events of a log of their own, sealed one behind the other. */
export function createRecords(): (count: number, more?: Partial<LoggedEvent>) => AuditRecord[] {
  let head = { seq: 0, hash: CHAIN_START };
  return (count, more = {}) =>
    Array.from({ length: count }, () => {
      const unsealed = {
        seq: head.seq + 1,
        at: Date.UTC(2026, 10, 29, 12) + head.seq * 7,
        event: 'user_logged_in',
        username: `user${head.seq + 1}`,
        hostId: null,
        hostname: null,
        challengeId: null,
        code: null,
        actor: null,
        reason: null,
        remoteAddr: null,
        data: JSON.parse(canonicalJson({ n: head.seq })) as Record<string, unknown>,
        prevHash: head.hash,
        ...more,
      };
      const event: EventRecord = sealEvent(unsealed, 'salt of a test');
      head = event;
      return auditRecord(event);
    });
}

/** Server processes on one database, in one, each with sinks. */
export async function auditCluster(t: TestContext, open: OpenTestDatabase) {
  const db = await open(t);
  const clock = manualClock();
  const counts = new Map<string, number>();
  const counted = (sink: string, status: DeliveryStatus, count: number) =>
    void counts.set(`${sink} ${status}`, (counts.get(`${sink} ${status}`) ?? 0) + count);
  let written = 0;
  const writer = await createEventLog({ db, clock, onError: () => {} });
  t.after(() => writer.close());
  return {
    db,
    clock,
    writer,
    count: (sink: string, status: DeliveryStatus) => counts.get(`${sink} ${status}`) ?? 0,
    async start(
      holder: string,
      sinks: readonly AuditSink[],
      { lifeMs = 60_000, bufferSize = 4096, mostDeadLetters = 1000, more = (leases: Leases) => leases } = {},
    ) {
      const events = await createEventLog({ db, clock, onError: () => {} });
      const leases = more(createLeases({ db, clock, holder, lifeMs }));
      const readers = createEventReaders({ db, events, leases, clock, log: { error: () => {} } });
      const running = sinks.map((sink) =>
        readers.consume(
          readerOf(sink.name),
          createDelivery({ sink, db, events, clock, bufferSize, mostDeadLetters, counted }),
        ),
      );
      const stop = async () => {
        await Promise.all(running.map((one) => one.stop()));
        await events.close();
      };
      t.after(stop);
      return {
        status: createSinkStatuses({ sinks: sinks.map(({ name }) => name), query: db.query, readers }),
        stop,
      };
    },
    /** Writes some events, each of a transaction of its own, or some of one that is given. */
    async write(count: number, event: Partial<NewEvent> = {}): Promise<void> {
      await db.transaction(async (work) => {
        for (let i = 0; i < count; i += 1) {
          written += 1;
          await writer.append(work, { event: 'user_logged_in', username: `user${written}`, ...event });
        }
      });
    },
  };
}

/** A sink that notes what it was given; `answer` says what becomes of it. */
export function noteSink(
  name: AuditSink['name'],
  answer: (
    records: readonly AuditRecord[],
    turn: ReaderTurn,
  ) => Promise<Awaited<ReturnType<AuditSink['deliver']>>> = async () => null,
  more: Partial<AuditSink> = {},
) {
  /** What was delivered, in the order of delivery. */
  const taken: number[] = [];
  const given: number[][] = [];
  const sink: AuditSink = {
    name,
    batch: 100,
    async deliver(records, turn) {
      given.push(records.map(({ event }) => event.seq));
      const result = await answer(records, turn);
      if (result === null) taken.push(...records.map(({ event }) => event.seq));
      return result;
    },
    async close() {},
    ...more,
  };
  return { sink, taken, given };
}

export const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => from + i);
