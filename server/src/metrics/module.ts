import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import { listCursors } from '../events/cursor-store.ts';
import type { Ground, Module } from '../platform/module.ts';
import { createEventCounters } from './event-counters.ts';
import { metricsRoutes } from './routes.ts';

/** How long an event may wait before it is counted, milliseconds: less than anybody asks for metrics. */
const COUNT_EVERY_MS = 1000;

/**
 * `/metrics`: what all modules measure, and how often what happened. One process of the cluster counts an event, so that
 * the sum over all of them is right.
 *
 * @param registry of all modules
 */
export function metricsModule(
  { config, db, events, clock }: Pick<Ground, 'config' | 'db' | 'events' | 'clock'>,
  registry: Registry,
): Module {
  collectDefaultMetrics({ register: registry });
  const { metrics, count } = createEventCounters();
  const lag = new Gauge({
    name: 'identree_event_reader_lag_events',
    help: 'Events that a reader of the log has not dealt with yet.',
    labelNames: ['reader'],
    registers: [],
    async collect() {
      const { seq } = await events.head();
      for (const cursor of await listCursors(db.query))
        this.set({ reader: cursor.reader }, Math.max(0, seq - cursor.seq));
    },
  });
  const waiting = new Gauge({
    name: 'identree_event_reader_lag_seconds',
    help: 'How long the oldest event that a reader of the log has not dealt with has been waiting.',
    labelNames: ['reader'],
    registers: [],
    async collect() {
      for (const cursor of await listCursors(db.query)) {
        const [next] = await events.read(cursor.seq, 1);
        this.set({ reader: cursor.reader }, next ? Math.max(0, clock.now() - next.at) / 1000 : 0);
      }
    },
  });
  return {
    name: 'metrics',
    routes: [metricsRoutes({ token: config.metricsToken, registry })],
    metrics: [...metrics, lag, waiting],
    readers: {
      metrics: {
        from: 'now',
        everyMs: COUNT_EVERY_MS,
        handle: async (batch) => () => {
          for (const event of batch) count(event);
        },
      },
    },
  };
}
