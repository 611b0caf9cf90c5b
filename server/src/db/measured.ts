import { Histogram, type Metric } from 'prom-client';
import { readGauge } from '../platform/gauges.ts';

/** Connections to a database server. */
export interface Connections {
  busy: number;
  idle: number;
  /** Who waits for one. */
  waiting: number;
}

export interface DatabaseMeasure {
  metrics: Metric[];
  /** A statement was answered, or failed, after so many milliseconds. */
  answered(milliseconds: number): void;
}

/** How long the database takes. @param connections null where there are none: SQLite is in the process */
export function createDatabaseMeasure(connections: () => Connections | null): DatabaseMeasure {
  const duration = new Histogram({
    name: 'identree_db_query_duration_seconds',
    help: 'How long statements took. On SQLite the whole process waits meanwhile.',
    buckets: [0.0001, 0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2, 8],
    registers: [],
  });
  return {
    metrics: [
      duration,
      readGauge({
        name: 'db_pool_connections',
        help: 'Connections to Postgres, and who waits for one.',
        labelNames: ['state'],
        read: () => Object.entries(connections() ?? {}).map(([state, value]) => ({ labels: { state }, value })),
      }),
    ],
    answered: (milliseconds) => duration.observe(milliseconds / 1000),
  };
}
