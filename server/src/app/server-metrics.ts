import type { Metric } from 'prom-client';
import { checkHealth } from '../http/health.ts';
import { readGauge, shortly } from '../platform/gauges.ts';
import type { HealthCheck } from '../platform/module.ts';
import { VERSION } from '../version.ts';

/** What is measured of the process as a whole. */
export function serverMetrics(deps: {
  health: readonly HealthCheck[];
  driver: string;
  /** Whether this process does the jobs that one of the cluster does. */
  isLeader: () => boolean;
}): Metric[] {
  const report = shortly(() => checkHealth(deps.health));
  return [
    readGauge({
      name: 'build_info',
      help: '1, with what runs here.',
      labelNames: ['version', 'node', 'database'],
      read: () => [{ labels: { version: VERSION, node: process.versions.node, database: deps.driver }, value: 1 }],
    }),
    readGauge({
      name: 'leader',
      help: '1 at the server that does what one of the cluster does: requests that run out, old sessions.',
      read: () => Number(deps.isLeader()),
    }),
    readGauge({
      name: 'health',
      help: '1 for a component of /healthz that is well, 0 for one that is not.',
      labelNames: ['component', 'severity'],
      async read() {
        const { checks } = await report();
        return deps.health.map(({ name, severity }) => ({
          labels: { component: name, severity },
          value: Number(checks[name] === 'ok'),
        }));
      },
    }),
  ];
}
