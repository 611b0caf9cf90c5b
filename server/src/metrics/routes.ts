import type { FastifyPluginAsync } from 'fastify';
import type { Registry } from 'prom-client';
import { ERRORS } from '#shared/errors.ts';
import { createMayMeasure } from '../http/metrics-token.ts';

/** `GET /metrics` in the text exposition format of Prometheus. @param deps.token null: anybody may read them */
export function metricsRoutes(deps: { token: string | null; registry: Registry }): FastifyPluginAsync {
  const mayMeasure = createMayMeasure(deps.token);
  return async (app) => {
    app.get('/metrics', async (request, reply) => {
      if (!mayMeasure(request)) {
        return reply
          .code(401)
          .header('www-authenticate', 'Bearer')
          .send({ error: { code: 'forbidden', message: ERRORS.forbidden[1] } });
      }
      // One that cannot be read must not take away those that would say why.
      const pages = await Promise.all(
        deps.registry.getMetricsAsArray().map(async (metric) => {
          try {
            return await deps.registry.getSingleMetricAsString(metric.name);
          } catch (err) {
            request.log.error({ err, metric: metric.name }, 'a metric cannot be read');
            return null;
          }
        }),
      );
      const page = pages.filter((part) => part !== null).join('\n\n');
      return reply.type(deps.registry.contentType).send(`${page}\n`);
    });
  };
}
