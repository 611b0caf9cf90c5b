import { Counter, type Metric } from 'prom-client';
import type { SinkName } from '../config/sections/audit-sinks.ts';
import { readGauge, shortly } from '../platform/gauges.ts';
import { healthCheck } from '../platform/health-check.ts';
import type { HealthCheck } from '../platform/module.ts';
import type { DeliveryStatus } from './delivery.ts';
import type { SinkStatus, SinkStatuses } from './status.ts';

const DELIVERIES = ['emitted', 'failed', 'dead_lettered'] as const satisfies readonly DeliveryStatus[];

/** What is measured of sinks, under the names of the operations guide. */
export function sinkMetrics(
  sinks: readonly SinkName[],
  statuses: SinkStatuses,
): { metrics: Metric[]; counted(sink: SinkName, status: DeliveryStatus, count: number): void } {
  const registers: [] = [];
  const events = new Counter({
    name: 'identree_audit_events_total',
    help: 'Events by sink: emitted (confirmed by the receiver; over syslog, taken by the operating system), failed (attempts), dead_lettered (refused for good). None is ever dropped.',
    labelNames: ['sink', 'status'],
    registers,
  });
  // An alert on any increase has something to compare with from the first scrape.
  events.inc({ sink: '_channel', status: 'dropped' }, 0);
  for (const sink of sinks) for (const status of DELIVERIES) events.inc({ sink, status }, 0);

  const shared = shortly(statuses);
  const gauge = (name: string, help: string, value: (status: SinkStatus) => number | null) =>
    readGauge({
      name: `audit_${name}`,
      help,
      labelNames: ['sink'],
      async read() {
        return (await shared()).flatMap((status) => {
          const now = value(status);
          return now === null ? [] : [{ labels: { sink: status.name }, value: now }];
        });
      },
    });
  const seconds = (at: number | null) => (at === null ? null : at / 1000);
  return {
    metrics: [
      events,
      gauge('sink_lag_events', 'Events that a sink has not delivered yet.', ({ behind }) => behind),
      gauge('sink_lag_seconds', 'How long the oldest of them has been waiting.', ({ behindMs }) => behindMs / 1000),
      gauge(
        'sink_last_success_timestamp_seconds',
        'When the receiver of a sink last took an event.',
        ({ lastSuccessAt }) => seconds(lastSuccessAt),
      ),
      gauge('sink_last_error_timestamp_seconds', 'When a sink failed last.', ({ lastErrorAt }) => seconds(lastErrorAt)),
      gauge('sink_paused', '1 while a sink waits for an operator.', ({ state }) => Number(state === 'paused')),
      gauge('dead_letters', 'Events that the receiver of a sink refused for good.', ({ deadLetters }) => deadLetters),
    ],
    counted: (sink, status, count) => events.inc({ sink, status }, count),
  };
}

/** `audit_sinks`: whether events arrive where they are sent. Why they do not is told to administrators only. */
export function sinkHealth(statuses: SinkStatuses): HealthCheck {
  return healthCheck({
    name: 'audit_sinks',
    about: 'Whether events arrive where they are sent. [More](audit.md).',
    severity: 'degraded',
    values: {
      'paused: …': 'These wait for an operator: the console says at Audit sinks why.',
      'failing: …': 'Their receivers do not answer or refuse; it is tried again, and nothing is lost.',
      'behind: …': 'Their receivers are too slow, or have just come back.',
    },
    namesParts: true,
    details: 'each sink, how it is, and how many events it has to deliver',
    async run() {
      const all = await statuses();
      const troubled = all.filter(({ state }) => state !== 'ok');
      const detail = all
        .map(({ name, state, behind, deadLetters }) => {
          const refused = deadLetters > 0 ? `, ${deadLetters} refused` : '';
          return `${name} ${state}, ${behind} to deliver${refused}`;
        })
        .join('; ');
      const worst = (['paused', 'failing', 'behind'] as const).find((state) =>
        troubled.some((sink) => sink.state === state),
      );
      if (worst === undefined) return { value: null, detail };
      const names = troubled.filter(({ state }) => state === worst).map(({ name }) => name);
      return { value: `${worst}: ${names.join(', ')}`, detail };
    },
  });
}

/** `audit_retention`: whether what is to be erased is erased. Nobody would miss it otherwise: nothing else depends on it. */
export function retentionHealth(retention: { isFailing(): boolean }): HealthCheck {
  return healthCheck({
    name: 'audit_retention',
    about: 'Whether events whose time is over are archived and erased, where this server does that. [More](audit.md).',
    severity: 'degraded',
    values: {
      failing:
        'It failed the last time, and nothing was erased that is not archived; every ten minutes it is tried again. The log of the server says why: the archive cannot be written, for example, or an event is not what its hash says.',
    },
    run: async () => (retention.isFailing() ? 'failing' : null),
  });
}
