import { collectDefaultMetrics, type Registry } from 'prom-client';
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
export function metricsModule({ config }: Pick<Ground, 'config'>, registry: Registry): Module {
  collectDefaultMetrics({ register: registry });
  const { metrics, count } = createEventCounters();
  return {
    name: 'metrics',
    routes: [metricsRoutes({ token: config.metricsToken, registry })],
    metrics,
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
