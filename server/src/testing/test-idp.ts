import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { exportJWK, generateKeyPair } from 'jose';
import Provider, { type Configuration } from 'oidc-provider';
import { createMemoryAdapter } from '../evaluation/memory-adapter.ts';

export interface TestIdpOptions {
  /** Claims by account; `sub` is the account's name. */
  accounts?: Record<string, Record<string, unknown>>;
  /** True: claims of scopes come from the userinfo endpoint only, as the standard says. */
  conform?: boolean;
  /** Where browsers may be sent back to. */
  redirectUris?: readonly string[];
  /** How the client must authenticate at the token endpoint. */
  authMethod?: 'client_secret_basic' | 'client_secret_post';
  /** True: it has no scope for groups and refuses one that it does not have; groups come with the profile. */
  groupsInProfile?: boolean;
  /** Claims that come with the profile besides the usual ones. */
  moreClaims?: readonly string[];
  /** True: who signs in is chosen on a page, by people in a browser. False: it is `person`, without a page. */
  chooser?: boolean;
  /** Serves https; without it plain http on localhost. */
  tls?: { cert: string; key: string };
  /** What the client registered for signing out. Without it the provider offers nothing of the kind. */
  logout?: {
    /** Where the provider sends the browser after signing out. */
    returnTo: string;
    /** Where the provider tells the client that somebody signed out; answered by `onTold`. */
    backchannel?: string;
    onTold?: (logoutToken: string) => Promise<number>;
  };
}

export interface TestIdp {
  issuer: string;
  clientId: string;
  clientSecret: string;
  /** Who the person at the keyboard says they are, or `cancel`. */
  person: string;
  /** When the last typed sign-in happened, seconds; null: now. */
  loginTs: number | null;
  /** How often somebody had to type something. */
  typed: number;
  /** Requests to the provider, newest last. */
  seen: { method: string; path: string; authorization: string | undefined }[];
  /** Answers every request in place of the provider while set. True when it has answered. */
  instead: ((request: IncomingMessage, response: ServerResponse) => boolean) | null;
  /** A browser at this provider: follows a URL until it leads back to the client. Keeps the provider's cookies. */
  browser(): { visit(url: string | URL): Promise<URL> };
  /** Signs a token with the provider's own key, as `header` says. */
  sign(payload: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
}

const DEFAULT_ACCOUNTS = {
  alice: {
    preferred_username: 'alice',
    name: 'Alice Example',
    email: 'alice@example.test',
    groups: ['staff', 'admins'],
  },
  bob: { preferred_username: 'bob', name: 'Bob Example', groups: [] },
};

/** A real OpenID Connect provider (oidc-provider) on a loopback port of its own. */
export async function startTestIdp(t: Pick<TestContext, 'after'>, options: TestIdpOptions = {}): Promise<TestIdp> {
  const accounts: Record<string, Record<string, unknown>> = options.accounts ?? DEFAULT_ACCOUNTS;
  const scopes = ['openid', 'profile', 'email', ...(options.groupsInProfile ? [] : ['groups'])];
  const redirectUris = options.redirectUris ?? ['http://localhost:8090/callback'];
  const { server, port } = await listen(t, options.tls);
  const issuer = `${options.tls ? 'https' : 'http'}://localhost:${port}`;
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });

  const idp: TestIdp = {
    issuer,
    clientId: 'identree',
    // With what has to be escaped in the header of the token request (RFC 6749, 2.3.1).
    clientSecret: `a secret: ${randomBytes(24).toString('base64')}`,
    person: 'alice',
    loginTs: null,
    typed: 0,
    seen: [],
    instead: null,
    browser: () => createProviderBrowser([...redirectUris, ...(options.logout ? [options.logout.returnTo] : [])]),
    async sign(payload, header = {}) {
      const { SignJWT } = await import('jose');
      return new SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid: 'test', ...header }).sign(privateKey);
    },
  };
  const authMethod = options.authMethod ?? 'client_secret_basic';
  const profile = ['name', 'preferred_username', ...(options.moreClaims ?? [])];
  const configuration: Configuration = {
    adapter: createMemoryAdapter(Date.now),
    clients: [
      {
        client_id: idp.clientId,
        client_secret: idp.clientSecret,
        redirect_uris: [...redirectUris],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        token_endpoint_auth_method: authMethod,
        require_auth_time: true,
        ...(options.logout ? { post_logout_redirect_uris: [options.logout.returnTo] } : {}),
        ...(options.logout?.backchannel
          ? { backchannel_logout_uri: options.logout.backchannel, backchannel_logout_session_required: true }
          : {}),
      },
    ],
    clientAuthMethods: [authMethod],
    conformIdTokenClaims: options.conform ?? false,
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      ...(options.groupsInProfile ? { profile: [...profile, 'groups'] } : { profile, groups: ['groups'] }),
    },
    scopes,
    jwks: { keys: [{ ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: 'test' }] },
    cookies: { keys: [randomBytes(24).toString('hex')] },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: options.logout?.backchannel !== undefined },
      rpInitiatedLogout: {
        enabled: options.logout !== undefined,
        logoutSource: async (context, form) => {
          context.body = `<!doctype html><title>Sign out</title>${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`;
        },
      },
    },
    fetch: async (url, init) => {
      if (options.logout?.onTold === undefined || String(url) !== options.logout.backchannel) return fetch(url, init);
      const body = new URLSearchParams(String(init?.body));
      return new Response(null, { status: await options.logout.onTold(body.get('logout_token') ?? '') });
    },
    ttl: { Session: 3600, Interaction: 600, Grant: 3600, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
    pkce: { required: () => true },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, id) =>
      accounts[id] && { accountId: id, claims: async () => ({ sub: id, ...accounts[id] }) },
    // The one client is ours, so nobody is asked for consent.
    async loadExistingGrant({ oidc }) {
      if (!oidc.client || !oidc.session?.accountId) return undefined;
      const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope(scopes.join(' '));
      await grant.save();
      return grant;
    },
  };
  const provider: Provider = new Provider(issuer, configuration);
  const serve = provider.callback();

  async function interact(request: IncomingMessage, response: ServerResponse, chosen: string | null): Promise<void> {
    if (options.chooser && chosen === null) {
      const { params } = await provider.interactionDetails(request, response);
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end(choiceOf(String(params.client_id), accounts));
      return;
    }
    const person = chosen === null ? idp.person : subjectOf(accounts, chosen);
    idp.typed += 1;
    const result =
      person === 'cancel'
        ? { error: 'access_denied', error_description: 'the resource owner pressed Cancel' }
        : { login: { accountId: person, ...(idp.loginTs === null ? {} : { ts: idp.loginTs }) } };
    await provider.interactionFinished(request, response, result);
  }

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '' } = request;
    const asked = new URL(url, issuer);
    idp.seen.push({ method, path: asked.pathname, authorization: request.headers.authorization });
    if (idp.instead?.(request, response)) return;
    const wanted = (asked.searchParams.get('scope') ?? '').split(' ');
    if (options.groupsInProfile && asked.pathname === '/auth' && !wanted.every((scope) => scopes.includes(scope))) {
      // As Keycloak does; oidc-provider passes over a scope that it does not have.
      const state = asked.searchParams.get('state') ?? '';
      const back = new URLSearchParams({ error: 'invalid_scope', state, iss: issuer });
      response.writeHead(302, { location: `${redirectUris[0]}?${back}` }).end();
      return;
    }
    if (!asked.pathname.startsWith('/interaction/')) return void serve(request, response);
    interact(request, response, asked.searchParams.get('login')).catch((error: unknown) => {
      response.writeHead(400, { 'content-type': 'text/plain' }).end(String(error));
    });
  });
  return idp;
}

async function listen(t: Pick<TestContext, 'after'>, tls: TestIdpOptions['tls']) {
  const server = tls ? createTlsServer(tls) : createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return { server, port: (server.address() as AddressInfo).port };
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);

function subjectOf(accounts: Record<string, Record<string, unknown>>, username: string): string {
  const found = Object.entries(accounts).find(([, claims]) => claims.preferred_username === username);
  if (!found) throw new Error(`nobody is called ${username}`);
  return found[0];
}

/** The sign-in page: a list of names. */
function choiceOf(clientId: string, accounts: Record<string, Record<string, unknown>>): string {
  const links = Object.values(accounts).map(
    ({ name, preferred_username: username }) =>
      `<p><a href="?login=${encodeURIComponent(String(username))}">${escaped(String(name))}</a></p>`,
  );
  return `<!doctype html><title>Sign in</title><h1>Sign in to ${escaped(clientId)}</h1>${links.join('')}`;
}

/** Follows redirects, and answers yes when it is asked whether to sign out, until an address of the client comes. */
function createProviderBrowser(ends: readonly string[]) {
  const jar = new Map<string, string>();

  async function send(at: URL, form: URLSearchParams | null): Promise<Response> {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(at, {
      redirect: 'manual',
      headers: cookie ? { cookie } : {},
      ...(form ? { method: 'POST', body: form } : {}),
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const split = pair.indexOf('=');
      const [name, value] = [pair.slice(0, split), pair.slice(split + 1)];
      if (value === '') jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  return {
    async visit(start: string | URL): Promise<URL> {
      let at = new URL(start);
      let form: URLSearchParams | null = null;
      for (let hop = 0; hop < 15; hop++) {
        if (ends.some((end) => at.href.startsWith(end))) return at;
        const response = await send(at, form);
        form = null;
        const location = response.headers.get('location');
        if (location) {
          at = new URL(location, at);
          continue;
        }
        const page = await response.text();
        const action = /<form id="op.logoutForm" method="post" action="([^"]+)"/.exec(page)?.[1];
        const xsrf = /name="xsrf" value="([^"]+)"/.exec(page)?.[1];
        if (!action || !xsrf) throw new Error(`the provider answered ${response.status}: ${page.slice(0, 300)}`);
        at = new URL(action, at);
        form = new URLSearchParams({ xsrf, logout: 'yes' });
      }
      throw new Error('too many redirects');
    },
  };
}
