import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { parseUserCode } from '#shared/names.ts';
import type { RateLimits } from '../auth/rate-limit.ts';
import type { ChallengeService } from '../challenges/service.ts';
import type { Viewer } from '../http/viewer.ts';
import { pagePolicy } from '../pages/layout.ts';
import { renderEnterCode, renderNotFound, type SmallPageOptions } from '../pages/small-pages.ts';
import { chooseLocale } from '../pages/strings.ts';
import { renderApprovalPage } from './page.ts';

export interface ApprovalPageDeps {
  /** The signed-in person behind a request, or null. */
  viewerOf(request: FastifyRequest): Promise<Viewer | null>;
  challenges: Pick<ChallengeService, 'approval'>;
  /** Bounds how many codes a person can try. Throws `rate_limited`. */
  limits: Pick<RateLimits, 'approvePage'>;
}

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

/** `/approve` and `/approve/<code>`. Neither changes anything: decisions are POSTs with a CSRF token. */
export async function approvalPageRoutes(app: FastifyInstance, deps: ApprovalPageDeps): Promise<void> {
  app.get<{ Querystring: { code?: unknown } }>('/approve', async (request, reply) => {
    const typed = typeof request.query.code === 'string' ? request.query.code : null;
    const code = typed === null ? null : parseUserCode(typed);
    if (code !== null) return reply.redirect(`/approve/${code}`, 303);
    return sendPage(reply, typed === null ? 200 : 400, (options) => renderEnterCode(options, typed));
  });

  app.get<{ Params: { code: string } }>('/approve/:code', async (request, reply) => {
    const code = parseUserCode(request.params.code);
    if (code === null) return sendPage(reply, 404, renderNotFound);
    if (code !== request.params.code) return reply.redirect(`/approve/${code}`, 303);
    const viewer = await deps.viewerOf(request);
    // Before the code is looked up: without a session nobody learns which codes exist.
    if (!viewer) return reply.redirect(`/sessions/login?return_to=${encodeURIComponent(`/approve/${code}`)}`, 303);
    deps.limits.approvePage(viewer.person.id);
    const approval = await deps.challenges.approval(viewer, code);
    const personName = viewer.person.displayName;
    if (!approval) return sendPage(reply, 404, (options) => renderNotFound({ ...options, personName }));
    return sendPage(reply, 200, ({ nonce, locale }) =>
      renderApprovalPage(
        { view: approval.view, passkey: approval.passkey, viewer: viewer.person },
        { nonce, locale, csrfToken: viewer.session.csrfToken },
      ),
    );
  });
}
