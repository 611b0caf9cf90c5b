import type { Metric } from 'prom-client';
import type { Database } from '../db/database.ts';
import { readGauge, shortly } from '../platform/gauges.ts';
import { healthCheck } from '../platform/health-check.ts';
import type { Ground, HealthCheck } from '../platform/module.ts';
import { readDisputes } from './head-store.ts';
import type { LogHeads } from './heads.ts';
import type { EventLog } from './log.ts';
import type { EventReaders, ReaderStatus } from './readers.ts';

/** Longer than this no event waits for a reader that is well, milliseconds. */
const BEHIND_MS = 60_000;

/** What is measured of the readers of the event log. Every server says how far a reader is, one of them that it has it. */
export function readerMetrics(readers: Pick<EventReaders, 'status'>): Metric[] {
  const status = shortly(() => readers.status());
  const gauge = (name: string, help: string, value: (status: ReaderStatus) => number) =>
    readGauge({
      name: `event_reader_${name}`,
      help,
      labelNames: ['reader'],
      read: async () => (await status()).map((one) => ({ labels: { reader: one.reader }, value: value(one) })),
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

/** What is measured of the log itself: whether hosts are shown signed heads of it, and whether one has seen another log. */
export function logMetrics(deps: Pick<Ground, 'db' | 'clock'> & { heads: Pick<LogHeads, 'shownAt'> }): Metric[] {
  const { db, clock, heads } = deps;
  return [
    readGauge({
      name: 'log_head_age_seconds',
      help: 'Since this server last showed a host a signed head of the event log; no value before the first time.',
      labelNames: [],
      read() {
        const at = heads.shownAt();
        return at === null ? [] : [{ labels: {}, value: (clock.now() - at) / 1000 }];
      },
    }),
    readGauge({
      name: 'log_disputes',
      help: 'Hosts that have seen another event log than the one of this server.',
      read: shortly(async () => (await readDisputes(db.query)).length),
    }),
  ];
}

/** `event_readers`: whether each reader of the log keeps up; why one does not is in the server's own log. */
export function readerHealth(readers: Pick<EventReaders, 'status'>): HealthCheck {
  return healthCheck({
    name: 'event_readers',
    about: 'What reads the event log, and whether it keeps up.',
    severity: 'degraded',
    values: {
      'failing: …': 'These fail, and try again. The log of the server says why.',
      'behind: …': 'Events wait for these for more than a minute: the database or the server is too slow.',
    },
    async run() {
      const all = (await readers.status()).filter(({ tellsItself }) => !tellsItself);
      const named = (which: (status: ReaderStatus) => boolean) =>
        all
          .filter(which)
          .map(({ reader }) => reader)
          .join(', ');
      const failing = named(({ problem }) => problem !== null);
      const behind = named(({ behindMs }) => behindMs > BEHIND_MS);
      if (failing !== '') return `failing: ${failing}`;
      return behind === '' ? null : `behind: ${behind}`;
    },
  });
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
  return healthCheck({
    name: 'event_log',
    about:
      'Whether the event log can be read and signed, and whether hosts have seen another one. [More](event-log.md).',
    severity: 'degraded',
    values: {
      'event … cannot be read': 'What is stored of it is damaged. `identree-server verify-log` looks at all of them.',
      'event … of the log does not follow the one before it':
        'Events were changed or removed, or the database is damaged. Hosts get no new head. `identree-server verify-log`.',
      'its head is not known yet': 'The log is being read from its beginning. Wait.',
      'its head cannot be signed': 'The log of the server says why.',
      'a host has seen events that it does not continue':
        'The database was put back to an earlier state, or changed. That host refuses every request. [Putting a backup back](backup.md).',
      '… hosts have seen events that it does not continue': 'The same, for so many of them.',
    },
    async run() {
      const seq = deps.events.unreadable();
      if (seq !== null) return `event ${seq} cannot be read`;
      const problem = deps.heads.problem();
      if (problem !== null) return problem;
      const { length } = await readDisputes(deps.db.query);
      if (length === 0) return null;
      if (length === 1) return 'a host has seen events that it does not continue';
      return `${length} hosts have seen events that it does not continue`;
    },
  });
}
