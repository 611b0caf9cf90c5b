import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseUserCode } from '#shared/names.ts';
import type { RateLimits } from '../auth/rate-limit.ts';
import type { Showing } from '../challenges/showing.ts';
import type { Viewer } from '../http/viewer.ts';
import { sendPage } from '../pages/send-page.ts';
import { renderEnterCode, renderNotFound } from '../pages/small-pages.ts';
import { renderApprovalPage } from './page.ts';

export interface ApprovalPageDeps {
  /** The signed-in person behind a request, or null. */
  viewerOf(request: FastifyRequest): Promise<Viewer | null>;
  challenges: Pick<Showing, 'approval'>;
  /** Bounds how many codes a person can try. Throws `rate_limited`. */
  limits: Pick<RateLimits, 'approvePage'>;
}

/** The browser asks before anybody wants to see it, and perhaps nobody ever does (Fetch, `Sec-Purpose`). */
const isFetchedAhead = ({ headers }: FastifyRequest): boolean =>
  /prefetch|preview/i.test(`${headers['sec-purpose'] ?? ''} ${headers.purpose ?? ''}`);

/**
 * `/approve` and `/approve/<code>`. Neither changes anything but that the log says who was shown a request: decisions are
 * POSTs with a CSRF token.
 */
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
    const approval = await deps.challenges.approval(viewer, code, isFetchedAhead(request) ? null : 'approval_page');
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
