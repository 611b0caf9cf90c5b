import { randomBytes } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import { pagePolicy } from './layout.ts';
import type { SmallPageOptions } from './small-pages.ts';
import { chooseLocale } from './strings.ts';

/** Sends one server-rendered page with its own policy: never cached, never framed. */
export function sendPage(
  reply: FastifyReply,
  status: number,
  page: (options: SmallPageOptions) => string,
): FastifyReply {
  const nonce = randomBytes(16).toString('base64');
  return reply
    .code(status)
    .header('content-security-policy', pagePolicy(nonce))
    .header('cache-control', 'no-store')
    .header('x-frame-options', 'DENY')
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'same-origin')
    .type('text/html; charset=utf-8')
    .send(page({ nonce, locale: chooseLocale(reply.request.headers['accept-language']) }));
}
