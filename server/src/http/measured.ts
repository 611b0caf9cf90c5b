import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Histogram, type Metric } from 'prom-client';

/** What is asked under this is named by what is asked for, as everything else is by its address. */
const PROCEDURES = '/trpc/';

/** A route by the pattern that it was declared with: what strangers type makes no line of its own. */
function routeOf(request: FastifyRequest): string {
  const pattern = request.routeOptions.url;
  if (pattern === undefined || request.is404) return 'unknown';
  return pattern.startsWith(PROCEDURES) ? '/trpc' : pattern;
}

/** How long answers took. Streams that stay open, and answers that somebody gave up waiting for, are not among them. */
export function createHttpMetrics(): { metrics: Metric[]; measure(app: FastifyInstance): void } {
  const duration = new Histogram({
    name: 'identree_http_request_duration_seconds',
    help: 'From request to answer, by route and status. Hosts that wait for a decision wait here for up to 25 s, and for another break-glass password to be wanted for up to 45 s.',
    labelNames: ['route', 'code'],
    buckets: [0.005, 0.025, 0.1, 0.25, 1, 2.5, 10, 30, 60],
    registers: [],
  });
  return {
    metrics: [duration],
    measure(app) {
      app.addHook('onResponse', async (request, reply) => {
        duration.observe({ route: routeOf(request), code: String(reply.statusCode) }, reply.elapsedTime / 1000);
      });
    },
  };
}
