import type { FastifyReply } from 'fastify';
import type { SmallPageOptions } from '../approval-page/small-pages.ts';
import { chooseLocale } from '../approval-page/strings.ts';

/**
 * Sends one of the plain pages around the sign-in. They carry no script, load nothing but our own files and cannot be
 * framed, so that nobody can put them under another page and collect clicks.
 *
 * @param formTargets origins besides our own that a form may end up at; browsers check redirects of forms too.
 */
export function sendPlainPage(
  reply: FastifyReply,
  status: number,
  page: (options: SmallPageOptions) => string,
  formTargets: readonly string[] = [],
): FastifyReply {
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self'",
    ["form-action 'self'", ...formTargets].join(' '),
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  return reply
    .code(status)
    .header('content-security-policy', policy.join('; '))
    .header('cache-control', 'no-store')
    .header('referrer-policy', 'no-referrer')
    .header('x-content-type-options', 'nosniff')
    .type('text/html; charset=utf-8')
    .send(page({ nonce: '', locale: chooseLocale(reply.request.headers['accept-language']) }));
}
