import type { FastifyInstance, FastifyPluginAsync, preHandlerAsyncHookHandler } from 'fastify';
import { z } from 'zod';
import { compareCode } from '#shared/compare-code.ts';
import { constantTimeEqual, sha256 } from '#shared/digest.ts';
import { Refusal } from '#shared/errors.ts';
import { sha256Text } from '#shared/names.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import { acceptForms } from '../http/form-body.ts';
import type { ViewerOf } from '../http/viewer.ts';
import { sendPlainPage, showRefusals } from '../pages/plain-page.ts';
import { renderDesktopConsent, renderSignInError, type SmallPageOptions } from '../pages/small-pages.ts';
import type { Clock } from '../platform/clock.ts';
import { type Random, randomText } from '../platform/random.ts';
import { CSRF_FIELD } from './csrf.ts';
import { insertDesktopGrant, takeDesktopGrant } from './desktop-store.ts';
import { lockPerson } from './people-store.ts';
import type { RateLimits } from './rate-limit.ts';
import type { ViewerResolver } from './resolve-viewer.ts';
import { providerSidOf } from './session-store.ts';
import type { Sessions } from './sessions.ts';

/** A code must be exchanged within this, milliseconds. */
const CODE_LIFE_MS = 60_000;

/** A redirect may only go to this computer, by literal address (RFC 8252, 7.3): a name could be resolved elsewhere. */
const loopbackUri = z
  .string()
  .max(200)
  .regex(/^http:\/\/(127\.0\.0\.1|\[::1\]):[1-9][0-9]{0,4}\/[A-Za-z0-9/_-]{0,100}$/)
  .refine((uri) => URL.parse(uri)?.href === uri, 'not canonical');

const ask = z.object({
  code_challenge: sha256Text,
  code_challenge_method: z.literal('S256'),
  redirect_uri: loopbackUri,
  state: z.string().regex(/^[A-Za-z0-9_-]{16,200}$/),
});
/** RFC 7636, 4.1: 43 to 128 unreserved characters. */
const exchange = z.strictObject({ code: sha256Text, code_verifier: z.string().regex(/^[A-Za-z0-9._~-]{43,128}$/) });

export interface DesktopRoutesDeps {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  resolver: Pick<ViewerResolver, 'recheck'>;
  sessions: Pick<Sessions, 'create'>;
  limits: Pick<RateLimits, 'desktopToken' | 'wrongDesktopCode' | 'mutation'>;
  csrfGuard: preHandlerAsyncHookHandler;
  viewerOf: ViewerOf;
}

function back(redirectUri: string, answer: Record<string, string>): string {
  return `${redirectUri}?${new URLSearchParams(answer).toString()}`;
}

/**
 * Sign-in of the desktop app: `GET` and `POST /desktop/sign-in` in the system browser, then
 * `POST /api/desktop/token` by the app itself.
 */
export function desktopRoutes(deps: DesktopRoutesDeps): FastifyPluginAsync {
  const { db, events, clock, random, viewerOf } = deps;

  return async (app: FastifyInstance) => {
    acceptForms(app);
    showRefusals(app);

    app.get('/desktop/sign-in', async (request, reply) => {
      const asked = ask.safeParse(request.query);
      if (!asked.success) {
        const message = 'The link from the desktop app is not complete. Start the sign-in there again.';
        return sendPlainPage(reply, 400, (options) => renderSignInError({ message, retry: '/' }, options));
      }
      const viewer = await viewerOf(request);
      if (viewer?.session.kind !== 'browser') {
        const here = `/desktop/sign-in?${new URLSearchParams(asked.data).toString()}`;
        return reply.redirect(`/sessions/login?return_to=${encodeURIComponent(here)}`, 303);
      }
      const { redirect_uri: redirectUri, state, code_challenge: codeChallenge } = asked.data;
      const model = {
        compareCode: compareCode(codeChallenge),
        personName: viewer.person.displayName,
        action: '/desktop/sign-in',
        fields: { ...asked.data, [CSRF_FIELD]: viewer.session.csrfToken },
        stop: back(redirectUri, { error: 'access_denied', state }),
      };
      const page = (options: SmallPageOptions) => renderDesktopConsent(model, options);
      return sendPlainPage(reply, 200, page, [new URL(redirectUri).origin]);
    });

    app.post('/desktop/sign-in', { preHandler: deps.csrfGuard }, async (request, reply) => {
      const viewer = await viewerOf(request);
      if (!viewer) throw new Refusal('not_signed_in');
      if (viewer.session.kind !== 'browser') throw new Refusal('session_kind');
      deps.limits.mutation(viewer.person.id);
      const answered = ask.safeParse(request.body);
      if (!answered.success) throw new Refusal('bad_request');
      const { redirect_uri, state, code_challenge } = answered.data;
      reply.header('cache-control', 'no-store').header('referrer-policy', 'no-referrer');
      const code = randomText(random);
      await db.transaction(async (work) => {
        const now = await deps.resolver.recheck(work, viewer);
        await insertDesktopGrant(work, {
          code_hash: sha256(code),
          person_id: now.person.id,
          code_challenge,
          redirect_uri,
          auth_time: now.session.authTime,
          expires_at: clock.now() + CODE_LIFE_MS,
          provider_sid: await providerSidOf(work.query, now.session.idHash),
        });
      });
      return reply.redirect(back(redirect_uri, { code, state }), 303);
    });

    app.post('/api/desktop/token', async (request, reply) => {
      const remoteAddr = request.clientAddress;
      deps.limits.desktopToken(remoteAddr);
      const asked = exchange.safeParse(request.body);
      if (!asked.success) throw new Refusal('bad_request');
      const { code, code_verifier: verifier } = asked.data;
      const grant = await db.transaction((work) => takeDesktopGrant(work, sha256(code)));
      const good =
        grant !== null && clock.now() < grant.expires_at && constantTimeEqual(sha256(verifier), grant.code_challenge);
      if (!good) {
        deps.limits.wrongDesktopCode(remoteAddr);
        throw new Refusal('not_signed_in', 'desktop code unknown, used, expired or of another app');
      }
      const session = await db.transaction(async (work) => {
        const person = await lockPerson(work, grant.person_id);
        if (!person) throw new Refusal('not_signed_in', 'person is gone');
        const created = await deps.sessions.create(work, {
          kind: 'desktop',
          person,
          authTime: grant.auth_time,
          providerSid: grant.provider_sid,
          idToken: null,
          userAgent: request.headers['user-agent'] ?? '',
          remoteAddr,
        });
        await events.append(work, {
          event: 'user_logged_in',
          username: person.username,
          remoteAddr,
          data: { issuer: person.issuer, subject: person.subject, session: created.handle, kind: 'desktop' },
        });
        return created;
      });
      return reply
        .header('cache-control', 'no-store')
        .send({ credential: session.value, expiresAt: session.expiresAt });
    });
  };
}
