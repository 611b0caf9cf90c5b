import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { healthCheck } from '../platform/health-check.ts';
import type { HealthCheck } from '../platform/module.ts';
import { checkHealth, forStrangers, type HealthReport } from './health.ts';

/** What a server says of itself that stops: at once, whatever else there would be to look at. */
const LEAVING: HealthReport = { status: 'unhealthy', checks: { server: 'stopping' } };
/** The same, as the documentation has it. It is not one of the checks: nothing else is looked at then. */
export const LEAVING_CHECK = healthCheck({
  name: 'server',
  about: 'Whether it stops. It is there only then, and alone.',
  severity: 'critical',
  values: { stopping: 'It was told to. No new client is to be sent there.' },
  run: async () => 'stopping',
});

const OTHER_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/**
 * `/healthz` for people and alerts, and what an orchestrator asks: `/livez`, whether to start the process anew, and
 * `/readyz`, whether to send it anybody. The latter say nothing else, because everybody may ask.
 */
export function healthRoutes(
  app: FastifyInstance,
  deps: {
    health: readonly HealthCheck[];
    /** The server clock, milliseconds. */
    now: () => number;
    isLeaving: () => boolean;
    /** Who may know what this installation is made of. */
    mayMeasure: (request: FastifyRequest) => boolean;
  },
): void {
  const report = async (): Promise<HealthReport> => (deps.isLeaving() ? LEAVING : await checkHealth(deps.health));
  const answers: Record<string, (reply: FastifyReply, request: FastifyRequest) => Promise<unknown>> = {
    '/healthz': async (reply, request) => {
      const all = await report();
      const found = deps.mayMeasure(request) ? all : forStrangers(all, deps.health);
      // A host whose clock is wrong is refused everything that it signs, and can still ask here.
      return reply.code(found.status === 'unhealthy' ? 503 : 200).send({ ...found, now: deps.now() });
    },
    // Who answers lives. A database that is away is no reason to start anew: those who wait would be sent away.
    '/livez': async (reply) => reply.send({ status: 'ok' }),
    '/readyz': async (reply) => {
      const { status } = await report();
      return reply
        .code(status === 'unhealthy' ? 503 : 200)
        .send({ status: status === 'unhealthy' ? 'not_ready' : 'ok' });
    },
  };
  for (const [url, answer] of Object.entries(answers)) {
    app.route({ method: ['GET', 'HEAD'], url, handler: async (request, reply) => answer(reply, request) });
    app.route({
      method: [...OTHER_METHODS],
      url,
      handler: async (_request, reply) => reply.code(405).header('allow', 'GET, HEAD').send(),
    });
  }
}
