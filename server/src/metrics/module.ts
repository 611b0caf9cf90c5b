import { collectDefaultMetrics, type Registry } from 'prom-client';
import type { Ground, Module } from '../platform/module.ts';
import type { PolicySource } from '../policies/source.ts';
import { createEventCounters } from './event-counters.ts';
import { metricsRoutes } from './routes.ts';

/** How long an event may wait before it is counted, milliseconds: less than anybody asks for metrics. */
const COUNT_EVERY_MS = 1000;

/**
 * `/metrics`: what all modules measure, and how often what happened. One process of the cluster counts an event, so that
 * the sum over all of them is right.
 *
 * @param others.registry of all modules
 */
export function metricsModule(
  { config }: Pick<Ground, 'config'>,
  others: { registry: Registry; policies: Pick<PolicySource, 'current'> },
): Module {
  const { registry, policies } = others;
  collectDefaultMetrics({ register: registry });
  // Gauges with a suffix that belongs to counters, to which `promtool check metrics` objects. The same ones by type stay.
  for (const what of ['resources', 'handles', 'requests']) registry.removeSingleMetric(`nodejs_active_${what}_total`);
  const { metrics, count, know } = createEventCounters();

  async function knowRules(): Promise<void> {
    const state = await policies.current();
    // Of a file without a rule of this name, the built-in one is the last.
    if (state.ok) know([...state.policy.rules.map(({ name }) => name), 'default']);
  }

  return {
    name: 'metrics',
    routes: [metricsRoutes({ token: config.metricsToken, registry })],
    metrics,
    start: knowRules,
    readers: {
      metrics: {
        from: 'now',
        everyMs: COUNT_EVERY_MS,
        // What was counted here is gone then as well.
        mayRepeat: true,
        async handle(batch) {
          if (batch.some(({ event }) => event === 'policy_changed')) await knowRules();
          return () => {
            for (const event of batch) count(event);
          };
        },
      },
    },
  };
}
