import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type Provider from 'oidc-provider';
import { acceptForms } from '../http/form-body.ts';
import { pagePolicy } from '../pages/layout.ts';
import { IDP_PATH, interactionPath } from './identity-provider.ts';
import { PICKER_CSS, renderCodePage, renderEnded, renderPicker } from './pages.ts';
import { type SamplePeople, subjectOf } from './people.ts';
import type { SignInCode } from './sign-in-code.ts';

/** Marks a browser in which the sign-in code was typed. */
const BROWSER_COOKIE = 'identree_evaluation';
const BROWSER_COOKIE_SECONDS = 30 * 24 * 3600;

interface Deps {
  externalUrl: string;
  provider: Provider;
  sample: SamplePeople;
  code: SignInCode;
}

/** The evaluation's identity provider and its sign-in pages, on the server's own origin. */
export function evaluationIdp(deps: Deps): FastifyPluginAsync {
  return async (app) => {
    const css = await readFile(new URL('./picker.css', import.meta.url), 'utf8');
    app.get(PICKER_CSS, (_request, reply) => reply.type('text/css; charset=utf-8').send(css));
    await app.register(signInPages(deps));
    await app.register(protocolEndpoints(deps.provider));
  };
}

/** Everything else below the path is the provider's own: discovery, keys, authorization, token, userinfo. */
function protocolEndpoints(provider: Provider): FastifyPluginAsync {
  return async (app) => {
    const handle = provider.callback();
    // The provider reads bodies itself.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', (_request, _payload, done) => done(null));
    app.all(`${IDP_PATH}/*`, (request, reply) => {
      reply.hijack();
      const raw = request.raw as typeof request.raw & { originalUrl?: string };
      raw.originalUrl = raw.url ?? '';
      raw.url = raw.originalUrl.slice(IDP_PATH.length);
      void handle(raw, reply.raw);
    });
  };
}

function signInPages({ externalUrl, provider, sample, code }: Deps): FastifyPluginAsync {
  return async (app) => {
    acceptForms(app);

    // SameSite keeps the interaction's cookie at home; this covers browsers and set-ups where it does not. A page without
    // referrer sends `Origin: null` with its forms, so the browser's own word on the site comes first.
    app.addHook('preHandler', async (request, reply) => {
      const { origin, 'sec-fetch-site': site } = request.headers;
      const own = site === undefined ? origin === undefined || origin === externalUrl : site === 'same-origin';
      if (request.method === 'POST' && !own) return sendPage(reply, 403, (nonce) => renderEnded({ nonce }));
    });

    app.get<{ Params: { uid: string } }>(interactionPath(':uid'), async (request, reply) => {
      const under = await interactionOf(request, reply);
      if (!under) return sendPage(reply, 400, (nonce) => renderEnded({ nonce }));
      const { uid, session } = under;
      if (!code.recognises(cookieOf(request))) {
        return sendPage(reply, 200, (nonce) =>
          renderCodePage({ nonce, action: `${interactionPath(uid)}/code`, problem: null }),
        );
      }
      const current =
        sample.people.find(({ username }) => subjectOf(username) === session?.accountId)?.username ?? null;
      return sendPage(reply, 200, (nonce) =>
        renderPicker({ nonce, action: `${interactionPath(uid)}/person`, sample, current }),
      );
    });

    app.post<{ Params: { uid: string } }>(`${interactionPath(':uid')}/code`, async (request, reply) => {
      const under = await interactionOf(request, reply);
      if (!under) return sendPage(reply, 400, (nonce) => renderEnded({ nonce }));
      const entered = code.enter(fieldOf(request, 'code'));
      if (!entered.ok) {
        const { problem } = entered;
        const action = `${interactionPath(under.uid)}/code`;
        return sendPage(reply, problem === 'wrong' ? 403 : 429, (nonce) => renderCodePage({ nonce, action, problem }));
      }
      const attributes = `Path=${IDP_PATH}; Max-Age=${BROWSER_COOKIE_SECONDS}; HttpOnly; SameSite=Lax`;
      reply.header('set-cookie', `${BROWSER_COOKIE}=${entered.token}; ${attributes}`);
      return reply.redirect(interactionPath(under.uid), 303);
    });

    app.post<{ Params: { uid: string } }>(`${interactionPath(':uid')}/person`, async (request, reply) => {
      const under = await interactionOf(request, reply);
      if (!under) return sendPage(reply, 400, (nonce) => renderEnded({ nonce }));
      if (!code.recognises(cookieOf(request))) return reply.redirect(interactionPath(under.uid), 303);
      const chosen = sample.people.find(({ username }) => username === fieldOf(request, 'person'));
      if (!chosen) return reply.redirect(interactionPath(under.uid), 303);
      const result = { login: { accountId: subjectOf(chosen.username), remember: true } };
      return reply.redirect(await provider.interactionResult(request.raw, reply.raw, result), 303);
    });

    /** The sign-in that this browser has under way; null when the address is not its own. */
    async function interactionOf(request: FastifyRequest<{ Params: { uid: string } }>, reply: FastifyReply) {
      try {
        const details = await provider.interactionDetails(request.raw, reply.raw);
        return details.uid === request.params.uid ? details : null;
      } catch {
        return null;
      }
    }
  };
}

function sendPage(reply: FastifyReply, status: number, page: (nonce: string) => string): FastifyReply {
  const nonce = randomBytes(16).toString('base64');
  return reply
    .code(status)
    .header('content-security-policy', pagePolicy(nonce))
    .header('cache-control', 'no-store')
    .type('text/html; charset=utf-8')
    .send(page(nonce));
}

function cookieOf(request: FastifyRequest): string | undefined {
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const [name, value] = pair.trim().split('=', 2);
    if (name === BROWSER_COOKIE) return value;
  }
  return undefined;
}

function fieldOf(request: FastifyRequest, name: string): string {
  const value = (request.body as Record<string, unknown> | null)?.[name];
  return typeof value === 'string' ? value : '';
}
