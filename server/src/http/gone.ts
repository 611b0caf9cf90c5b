import type { FastifyInstance } from 'fastify';

/**
 * Where the earlier agent asked. Its trust model is what this server replaces, so it is told what to do instead. What is
 * served below these paths again, as `POST /api/client/provision`, is another question by another method.
 */
export async function goneEndpoints(app: FastifyInstance): Promise<void> {
  for (const path of [
    '/api/challenge',
    '/api/challenge/*',
    '/api/grace-status',
    '/api/agent/heartbeat',
    '/api/breakglass/*',
    '/api/client/*',
  ]) {
    app.all(path, (_request, reply) =>
      reply.code(410).send({
        error: {
          code: 'gone',
          message: 'This endpoint belonged to the earlier agent. Install the current agent and enrol the host again.',
        },
      }),
    );
  }
}
