import { Gauge, type Metric } from 'prom-client';
import type { Database } from '../db/database.ts';
import type { HealthCheck } from '../platform/module.ts';
import { readDisputes } from './head-store.ts';
import type { LogHeads } from './heads.ts';
import type { EventLog } from './log.ts';
import type { EventReaders, ReaderStatus } from './readers.ts';

/** Longer than this no event waits for a reader that is well, milliseconds. */
const BEHIND_MS = 60_000;

/** What is measured of the readers of the event log. Every server says how far a reader is, one of them that it has it. */
export function readerMetrics(readers: Pick<EventReaders, 'status'>): Metric[] {
  let asking: Promise<ReaderStatus[]> | null = null;
  /** All that are asked for at a time share the answer. */
  const status = (): Promise<ReaderStatus[]> => {
    asking ??= readers.status().finally(() => {
      asking = null;
    });
    return asking;
  };
  const gauge = (name: string, help: string, value: (status: ReaderStatus) => number) =>
    new Gauge({
      name: `identree_event_reader_${name}`,
      help,
      labelNames: ['reader'],
      registers: [],
      async collect() {
        for (const one of await status()) this.set({ reader: one.reader }, value(one));
      },
    });
  return [
    gauge('lag_events', 'Events that a reader of the log has not dealt with yet.', ({ behind }) => behind),
    gauge(
      'lag_seconds',
      'How long the oldest event that a reader of the log has not dealt with has been waiting.',
      ({ behindMs }) => behindMs / 1000,
    ),
    gauge('active', '1 at the server where a reader of the log is at work.', ({ here }) => Number(here)),
    gauge('failing', '1 while a reader of the log tries again what went wrong.', ({ problem }) =>
      Number(problem !== null),
    ),
  ];
}

/** `event_readers`: whether each reader of the log keeps up; why one does not is in the server's own log. */
export function readerHealth(readers: Pick<EventReaders, 'status'>): HealthCheck {
  return {
    name: 'event_readers',
    severity: 'degraded',
    async run() {
      const all = (await readers.status()).filter(({ tellsItself }) => !tellsItself);
      const named = (state: string, which: (status: ReaderStatus) => boolean): string | null => {
        const names = all.filter(which).map(({ reader }) => reader);
        return names.length === 0 ? null : `${state}: ${names.join(', ')}`;
      };
      return (
        named('failing', ({ problem }) => problem !== null) ?? named('behind', ({ behindMs }) => behindMs > BEHIND_MS)
      );
    },
  };
}

/**
 * `event_log`: whether all that was read of it since the start could be read, whether its head could be signed, and whether
 * hosts contradict it. `verify-log` looks at all of it.
 */
export function logHealth(deps: {
  db: Pick<Database, 'query'>;
  events: Pick<EventLog, 'unreadable'>;
  heads: Pick<LogHeads, 'problem'>;
}): HealthCheck {
  return {
    name: 'event_log',
    severity: 'degraded',
    async run() {
      const seq = deps.events.unreadable();
      if (seq !== null) return `event ${seq} cannot be read`;
      const problem = deps.heads.problem();
      if (problem !== null) return problem;
      const { length } = await readDisputes(deps.db.query);
      if (length === 0) return null;
      return `${length === 1 ? 'a host has' : `${length} hosts have`} seen events that it does not continue`;
    },
  };
}
