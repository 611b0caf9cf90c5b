import type { FastifyPluginAsync } from 'fastify';
import type { Registry } from 'prom-client';
import { constantTimeEqual, sha256 } from '#shared/digest.ts';
import { ERRORS } from '#shared/errors.ts';

/** `GET /metrics` in the text exposition format of Prometheus. @param deps.token null: anybody may read them */
export function metricsRoutes(deps: { token: string | null; registry: Registry }): FastifyPluginAsync {
  return async (app) => {
    app.get('/metrics', async (request, reply) => {
      if (deps.token !== null) {
        const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
        if (!constantTimeEqual(sha256(given), sha256(deps.token))) {
          return reply
            .code(401)
            .header('www-authenticate', 'Bearer')
            .send({ error: { code: 'forbidden', message: ERRORS.forbidden[1] } });
        }
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
