import type { FastifyPluginAsync } from 'fastify';
import type { RateLimiter } from '../platform/rate-limiter.ts';
import { type createWebhook, WEBHOOK_BODY_LIMIT } from './webhook.ts';

const one = (header: string | string[] | undefined): string | undefined => (Array.isArray(header) ? header[0] : header);

/** `POST /api/webhook/pocketid`, and the same under a name that fits every identity provider. */
export function webhookRoutes(deps: {
  webhook: ReturnType<typeof createWebhook>;
  /** Bounds wrong signatures, per address. */
  failures: RateLimiter;
}): FastifyPluginAsync {
  return async (app) => {
    // Whatever it calls itself: the signature is over the bytes, and the answer for a wrong type is the webhook's own.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: WEBHOOK_BODY_LIMIT }, (_request, body, done) =>
      done(null, body),
    );
    for (const url of ['/api/webhook/pocketid', '/api/webhook/directory']) {
      app.all(url, async (request, reply) => {
        const from = request.clientAddress;
        if (!deps.failures.peek(from)) return reply.code(429).type('text/plain').send('too many attempts\n');
        const { headers, method, body } = request;
        const answer = deps.webhook({
          method,
          contentType: headers['content-type'],
          body: Buffer.isBuffer(body) ? body : Buffer.alloc(0),
          signature: one(headers['x-webhook-signature']),
          timestamp: one(headers['x-webhook-timestamp']),
          id: one(headers['x-webhook-id']),
        });
        if (answer.status === 403) deps.failures.take(from);
        if (answer.status === 405) reply.header('allow', 'POST');
        return answer.status === 204
          ? reply.code(204).send()
          : reply.code(answer.status).type('text/plain').send(`${answer.message}\n`);
      });
    }
  };
}
