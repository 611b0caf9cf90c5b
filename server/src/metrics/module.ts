import { collectDefaultMetrics, type Registry } from 'prom-client';
import type { Ground, Module } from '../platform/module.ts';
import { createEventCounters } from './event-counters.ts';
import { metricsRoutes } from './routes.ts';

/** `/metrics`: what all modules measure, and how often what happened. @param registry of all modules */
export function metricsModule({ config, events }: Pick<Ground, 'config' | 'events'>, registry: Registry): Module {
  collectDefaultMetrics({ register: registry });
  const { metrics, count } = createEventCounters();
  const stop = events.follow(count);
  return {
    name: 'metrics',
    routes: [metricsRoutes({ token: config.metricsToken, registry })],
    metrics,
    stop: async () => stop(),
  };
}
