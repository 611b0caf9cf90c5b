import type { FastifyInstance, FastifyReply } from 'fastify';
import { Refusal } from '#shared/errors.ts';
import { html } from './html.ts';
import { documentOf } from './layout.ts';
import type { SmallPageOptions } from './small-pages.ts';
import { chooseLocale, stringsOf } from './strings.ts';

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
    .header('referrer-policy', 'same-origin')
    .header('x-content-type-options', 'nosniff')
    .type('text/html; charset=utf-8')
    .send(page({ nonce: '', locale: chooseLocale(reply.request.headers['accept-language']) }));
}

function renderRefusal(message: string, { nonce, locale }: SmallPageOptions): string {
  const strings = stringsOf(locale);
  const title = 'That did not work';
  return documentOf(
    { strings, nonce, title },
    html`<article class="small"><h1>${title}</h1><p>${message}</p><p class="after"><a class="button" href="/">${strings.inbox}</a></p></article>`,
  );
}

/** People in front of a page get a refusal as a page; programs below `/api/` get it as JSON, like everywhere else. */
export function showRefusals(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    if (!(error instanceof Refusal) || request.url.startsWith('/api/')) throw error;
    if (error.detail) request.log.info({ code: error.code, detail: error.detail }, 'request refused');
    return sendPlainPage(reply, error.status, (options) => renderRefusal(error.message, options));
  });
}
