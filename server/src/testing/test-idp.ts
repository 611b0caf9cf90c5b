import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import Provider from 'oidc-provider';

export interface TestIdpOptions {
  /** Claims by account; `sub` is the account's name. */
  accounts?: Record<string, Record<string, unknown>>;
  /** True: claims of scopes come from the userinfo endpoint only, as the standard says. */
  conform?: boolean;
  /** Where the browser is sent back to. */
  redirectUri?: string;
  /** How the client must authenticate at the token endpoint. */
  authMethod?: 'client_secret_basic' | 'client_secret_post';
  /** True: it has no scope for groups and refuses one that it does not have; groups come with the profile. */
  groupsInProfile?: boolean;
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
  /** A browser at this provider: follows an authorization URL to the callback. Keeps the provider's cookies. */
  browser(): { visit(url: string | URL): Promise<URL> };
}

/** A real OpenID Connect provider (oidc-provider) on a loopback port of its own. */
export async function startTestIdp(t: Pick<TestContext, 'after'>, options: TestIdpOptions = {}): Promise<TestIdp> {
  const accounts = options.accounts ?? {
    alice: {
      preferred_username: 'alice',
      name: 'Alice Example',
      email: 'alice@example.test',
      groups: ['staff', 'admins'],
    },
    bob: { preferred_username: 'bob', name: 'Bob Example', groups: [] },
  };
  const scopes = ['openid', 'profile', 'email', ...(options.groupsInProfile ? [] : ['groups'])];
  const redirectUri = options.redirectUri ?? 'http://localhost:8090/callback';
  let handler: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => {
    response.writeHead(503).end();
  };
  const server = createServer((request, response) => {
    const { method = '', url = '' } = request;
    idp.seen.push({ method, path: url.split('?')[0]!, authorization: request.headers.authorization });
    if (idp.instead?.(request, response)) return;
    const asked = new URL(url, issuer);
    const unknown = (asked.searchParams.get('scope') ?? '').split(' ').some((scope) => !scopes.includes(scope));
    if (options.groupsInProfile && asked.pathname === '/auth' && unknown) {
      // As Keycloak does; oidc-provider passes over a scope that it does not have.
      const back = new URLSearchParams({
        error: 'invalid_scope',
        state: asked.searchParams.get('state') ?? '',
        iss: issuer,
      });
      response.writeHead(302, { location: `${redirectUri}?${back}` }).end();
      return;
    }
    handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;
  t.after(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );

  const idp: TestIdp = {
    issuer,
    clientId: 'identree',
    clientSecret: 'a secret of the test',
    person: 'alice',
    loginTs: null,
    typed: 0,
    seen: [],
    instead: null,
    browser,
  };

  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: idp.clientId,
        client_secret: idp.clientSecret,
        redirect_uris: [redirectUri],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        token_endpoint_auth_method: options.authMethod ?? 'client_secret_basic',
      },
    ],
    clientAuthMethods: [options.authMethod ?? 'client_secret_basic'],
    conformIdTokenClaims: options.conform ?? false,
    claims: {
      openid: ['sub'],
      email: ['email'],
      ...(options.groupsInProfile
        ? { profile: ['name', 'preferred_username', 'groups'] }
        : { profile: ['name', 'preferred_username'], groups: ['groups'] }),
    },
    scopes,
    cookies: { keys: ['a key of the test'] },
    features: { devInteractions: { enabled: false } },
    ttl: { Session: 3600, Interaction: 600, Grant: 3600, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
    pkce: { required: () => true },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, id) => ({ accountId: id, claims: async () => ({ sub: id, ...accounts[id] }) }),
    async loadExistingGrant(context) {
      const grant = new context.oidc.provider.Grant({
        clientId: context.oidc.client!.clientId,
        accountId: context.oidc.session!.accountId!,
      });
      grant.addOIDCScope(scopes.join(' '));
      await grant.save();
      return grant;
    },
  });
  const callback = provider.callback();
  handler = (request, response) => {
    if (!request.url?.startsWith('/interaction/')) return void callback(request, response);
    idp.typed += 1;
    const { person, loginTs } = idp;
    const result =
      person === 'cancel'
        ? { error: 'access_denied', error_description: 'the resource owner pressed Cancel' }
        : { login: { accountId: person, ...(loginTs === null ? {} : { ts: loginTs }) } };
    provider.interactionFinished(request, response, result).catch(() => response.writeHead(500).end());
  };

  function browser() {
    const jar = new Map<string, string>();
    return {
      async visit(start: string | URL): Promise<URL> {
        let at = new URL(start);
        for (let hop = 0; hop < 15; hop++) {
          if (at.href.startsWith(redirectUri)) return at;
          const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
          const response = await fetch(at, { redirect: 'manual', headers: cookie ? { cookie } : {} });
          for (const line of response.headers.getSetCookie()) {
            const [pair = ''] = line.split(';');
            const split = pair.indexOf('=');
            const [name, value] = [pair.slice(0, split), pair.slice(split + 1)];
            if (value === '') jar.delete(name);
            else jar.set(name, value);
          }
          const location = response.headers.get('location');
          if (!location)
            throw new Error(`the provider answered ${response.status}: ${(await response.text()).slice(0, 300)}`);
          at = new URL(location, at);
        }
        throw new Error('too many redirects');
      },
    };
  }

  return idp;
}
