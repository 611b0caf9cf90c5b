import { Counter, Gauge, Histogram, type Metric } from 'prom-client';
import type { Stats } from '../ldap/session/stats.ts';
import { readGauge } from '../platform/gauges.ts';
import { type Directory, type DirectoryMetrics, REFRESH_TRIGGERS } from './publish/directory.ts';

/** What the LDAP thread counts; null while there is no thread that answers. */
export type ReadLdapStats = () => Promise<Stats | null>;

const registers: [] = [];
const name = (rest: string) => `identree_ldap_${rest}`;

/** What the directory counts while it works, under the names of the operations guide and beside them. */
export function createDirectoryMetrics(): DirectoryMetrics & { metrics: Metric[] } {
  const refreshes = new Counter({
    name: name('refresh_total'),
    help: 'Requests to fetch people and groups, by what asked.',
    labelNames: ['trigger'],
    registers,
  });
  for (const trigger of REFRESH_TRIGGERS) refreshes.inc({ trigger }, 0);
  const failures = new Counter({
    name: name('sync_failures_total'),
    help: 'Rounds in which people and groups could not be fetched or published.',
    registers,
  });
  const duration = new Histogram({
    name: name('sync_duration_seconds'),
    help: 'How long a fetch from the source took.',
    buckets: [0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60],
    registers,
  });
  const entries = new Gauge({
    name: name('directory_entries'),
    help: 'People, groups and sudo rules that are served.',
    labelNames: ['kind'],
    registers,
  });
  const usn = new Gauge({ name: name('usn'), help: 'Update sequence number of the newest change.', registers });
  const lints = new Gauge({
    name: name('lints'),
    help: 'What could not be served as written, by code.',
    labelNames: ['code'],
    registers,
  });
  return {
    metrics: [refreshes, failures, duration, entries, usn, lints],
    refreshed: (trigger) => refreshes.inc({ trigger }),
    syncFailed: () => failures.inc(),
    syncSeconds: (seconds) => duration.observe(seconds),
    published(facts) {
      entries.set({ kind: 'people' }, facts.people);
      entries.set({ kind: 'groups' }, facts.groups);
      entries.set({ kind: 'sudo_rules' }, facts.sudoRules);
      usn.set(facts.usn);
      lints.reset();
      for (const { code } of facts.lints) lints.inc({ code });
    },
  };
}

/** What is asked for when the metrics are read: how old the directory is, and what its LDAP thread has counted. */
export function createDirectoryGauges(deps: {
  /** Upper bounds of `Stats.searchDurations`, seconds. */
  searchSeconds: readonly number[];
  readStats: ReadLdapStats;
  status: () => Pick<ReturnType<Directory['status']>, 'lastSuccessAt'>;
  now: () => number;
}): Metric[] {
  const heard = (metric: string, help: string, value: (lastSuccessAt: number) => number) =>
    readGauge({
      name: `ldap_${metric}`,
      help,
      labelNames: [],
      read() {
        const { lastSuccessAt } = deps.status();
        return lastSuccessAt === null ? [] : [{ labels: {}, value: value(lastSuccessAt) }];
      },
    });
  const age = heard('directory_age_seconds', 'Since the source was last heard.', (at) => (deps.now() - at) / 1000);
  const lastSync = heard('last_sync_timestamp_seconds', 'When the source was last heard.', (at) => at / 1000);

  // One question to the thread for all that it counts, however many metrics come from it.
  let asked: Promise<Stats | null> | null = null;
  const stats = (): Promise<Stats | null> => {
    asked ??= deps.readStats().finally(() => {
      asked = null;
    });
    return asked;
  };
  const fromThread = (
    metric: string,
    help: string,
    type: 'counter' | 'gauge' | 'histogram',
    labelNames: readonly string[],
    read: (stats: Stats) => { labels?: Record<string, string | number>; value: number; metricName?: string }[],
  ): Metric =>
    ({
      name: name(metric),
      labelNames,
      async get() {
        const counted = await stats();
        return { name: name(metric), help, type, aggregator: 'sum', values: counted === null ? [] : read(counted) };
      },
    }) as never;
  return [
    age,
    lastSync,
    fromThread('queries_total', 'Searches by where they begin.', 'counter', ['base'], ({ queries }) =>
      Object.entries(queries).map(([base, value]) => ({ labels: { base }, value })),
    ),
    fromThread('bind_failures_total', 'Refused binds.', 'counter', [], ({ bindFailures }) => [{ value: bindFailures }]),
    fromThread('connections', 'Connections that are open.', 'gauge', [], ({ connections }) => [{ value: connections }]),
    fromThread('rejected_total', 'What a limit refused or cut off, by reason.', 'counter', ['reason'], ({ rejected }) =>
      Object.entries(rejected).map(([reason, value]) => ({ labels: { reason }, value })),
    ),
    fromThread('search_duration_seconds', 'How long searches took.', 'histogram', [], (counted) => {
      let total = 0;
      const buckets = counted.searchDurations.map((count, index) => {
        total += count;
        const le = deps.searchSeconds[index] ?? '+Inf';
        return { metricName: name('search_duration_seconds_bucket'), labels: { le }, value: total };
      });
      return [
        ...buckets,
        { metricName: name('search_duration_seconds_sum'), value: counted.searchSeconds },
        { metricName: name('search_duration_seconds_count'), value: total },
      ];
    }),
  ];
}
