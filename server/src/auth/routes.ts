import type { FastifyInstance, FastifyPluginAsync, FastifyRequest, preHandlerAsyncHookHandler } from 'fastify';
import { acceptForms } from '../http/form-body.ts';
import type { ViewerOf } from '../http/viewer.ts';
import { sendPlainPage, showRefusals } from '../pages/plain-page.ts';
import { renderRoleLost, renderSignedOut, renderSignInError, renderSigningOut } from '../pages/small-pages.ts';
import type { Cookies } from './cookies.ts';
import type { IdentityProvider } from './identity-provider.ts';
import type { RateLimits } from './rate-limit.ts';
import { localPath } from './return-to.ts';
import type { Sessions } from './sessions.ts';
import type { SignIn, SignInFailure } from './sign-in.ts';
import { stepUpPath } from './step-up.ts';

/** Words for the person; the reason itself is in the log and in the event. */
const WORDS: Record<SignInFailure, string> = {
  unknown_attempt: 'This sign-in is no longer valid, or it was started in another browser.',
  refused_by_provider: 'Your identity provider did not sign you in.',
  invalid_answer: 'The answer of your identity provider could not be verified.',
  nonce_mismatch: 'The answer of your identity provider is one to another sign-in.',
  provider_unreachable: 'Your identity provider cannot be reached right now. Try again in a moment.',
  provider_misconfigured:
    'identree and your identity provider are not set up for each other, so nobody can sign in. Trying again does not help. Tell an administrator.',
  not_fresh: 'You have to sign in anew for this, and your identity provider did not confirm that you did.',
  username_unusable: 'Your user name at the identity provider cannot be used here. Ask an administrator.',
  account_disabled: 'Your account is disabled. Ask an administrator.',
  claims_unusable: 'Your identity provider sent incomplete details about you. Ask an administrator.',
};

const STATUS: Record<SignInFailure, number> = {
  unknown_attempt: 400,
  refused_by_provider: 403,
  invalid_answer: 400,
  nonce_mismatch: 400,
  provider_unreachable: 503,
  provider_misconfigured: 503,
  not_fresh: 403,
  username_unusable: 403,
  account_disabled: 403,
  claims_unusable: 403,
};

export interface AuthRoutesDeps {
  signIn: SignIn;
  sessions: Pick<Sessions, 'signOut'>;
  provider: Pick<IdentityProvider, 'endSessionUrl'>;
  cookies: Cookies;
  limits: Pick<RateLimits, 'login' | 'strayCallback'>;
  csrfGuard: preHandlerAsyncHookHandler;
  viewerOf: ViewerOf;
  config: { externalUrl: string };
  log: { info(detail: object, message: string): void; warn(detail: object, message: string): void };
}

/** `GET /sessions/login`, `GET /callback`, `POST /signout`, `GET /signed-out`. */
export function authRoutes(deps: AuthRoutesDeps): FastifyPluginAsync {
  const { signIn, cookies, limits, viewerOf } = deps;

  const visitorOf = (request: FastifyRequest) => ({
    remoteAddr: request.clientAddress,
    userAgent: request.headers['user-agent'] ?? '',
  });
  const loginPath = (returnTo: string, fresh: boolean) =>
    fresh ? stepUpPath(returnTo) : `/sessions/login?return_to=${encodeURIComponent(returnTo)}`;

  return async (app: FastifyInstance) => {
    acceptForms(app);
    showRefusals(app);

    app.get('/sessions/login', async (request, reply) => {
      const query = request.query as Record<string, unknown>;
      const returnTo = localPath(query.return_to);
      const fresh = query.step_up === '1';
      reply.header('cache-control', 'no-store');
      const viewer = await viewerOf(request);
      if (!fresh && viewer?.session.kind === 'browser') return reply.redirect(returnTo, 303);
      const browser = cookies.readLogin(request.headers.cookie);
      limits.login({ personId: viewer?.person.id ?? null, browser, remoteAddr: request.clientAddress });
      const started = await signIn.start({ returnTo, fresh, browser });
      if (!started.ok) {
        const model = { message: WORDS[started.problem], retry: loginPath(returnTo, fresh) };
        return sendPlainPage(reply, STATUS[started.problem], (options) => renderSignInError(model, options));
      }
      cookies.setLogin(reply, started.browser, started.maxAgeSeconds);
      return reply.redirect(started.url.href, 302);
    });

    app.get('/callback', async (request, reply) => {
      reply.header('cache-control', 'no-store').header('referrer-policy', 'no-referrer');
      const viewer = await viewerOf(request);
      const result = await signIn.finish({
        callback: new URL(request.url, deps.config.externalUrl),
        browser: cookies.readLogin(request.headers.cookie),
        replaces:
          viewer?.session.kind === 'browser' ? { idHash: viewer.session.idHash, personId: viewer.person.id } : null,
        visitor: visitorOf(request),
      });
      if (!result.ok) {
        if (result.failure === 'unknown_attempt') limits.strayCallback(request.clientAddress);
        // What fails for everybody is not one of many that somebody mistyped.
        const level = result.failure === 'provider_misconfigured' ? 'warn' : 'info';
        deps.log[level]({ failure: result.failure, detail: result.detail }, 'sign-in failed');
        const model = { message: WORDS[result.failure], retry: loginPath(result.returnTo, result.fresh) };
        return sendPlainPage(reply, STATUS[result.failure], (options) => renderSignInError(model, options));
      }
      cookies.setSession(reply, result.sessionValue, result.maxAgeSeconds);
      const { lostRole, returnTo } = result;
      if (lostRole !== null) {
        return sendPlainPage(reply, 200, (options) => renderRoleLost({ why: lostRole, next: returnTo }, options));
      }
      return reply.redirect(returnTo, 303);
    });

    app.post('/signout', { preHandler: deps.csrfGuard }, async (request, reply) => {
      const viewer = await viewerOf(request);
      const idToken = viewer && (await deps.sessions.signOut(viewer, cookies.readSession(request.headers.cookie)));
      cookies.clearSession(reply);
      const next = viewer && (await deps.provider.endSessionUrl(idToken));
      if (!next) return reply.redirect('/signed-out', 303);
      // A page and no redirect: browsers follow a form to another site only where the page that held it allows that.
      return sendPlainPage(reply, 200, (options) => renderSigningOut({ next: next.href }, options));
    });

    app.get('/signed-out', async (_request, reply) => sendPlainPage(reply, 200, renderSignedOut));
  };
}
