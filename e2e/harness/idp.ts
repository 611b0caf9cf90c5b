import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';
import { createMemoryAdapter } from '../../server/src/evaluation/memory-adapter.ts';

/** Somebody who can sign in. */
export interface IdpUser {
  username: string;
  name: string;
  groups: readonly string[];
}

export const ADMIN_GROUP = 'identree-admins';

/** Two people with a Linux account that may sudo, one without that right, one operator. */
export const PEOPLE: readonly IdpUser[] = [
  { username: 'alice', name: 'Alice Ahlberg', groups: ['developers'] },
  { username: 'bob', name: 'Bob Brandt', groups: ['developers'] },
  { username: 'carol', name: 'Carol Costa', groups: [] },
  { username: 'olga', name: 'Olga Operator', groups: [ADMIN_GROUP] },
];

export interface Idp {
  issuer: string;
  clientId: string;
  clientSecret: string;
  close(): Promise<void>;
}

const html = (text: string): string => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);

/**
 * A real OpenID provider (oidc-provider) on loopback whose sign-in page is a list of names. Only for tests.
 *
 * @param options.tls serves https; without it plain http on localhost
 */
export async function startIdp(options: {
  redirectUris: readonly string[];
  users?: readonly IdpUser[];
  tls?: { cert: string; key: string };
}): Promise<Idp> {
  const users = options.users ?? PEOPLE;
  let handler: (request: IncomingMessage, response: ServerResponse) => void = () => {};
  const listener = (request: IncomingMessage, response: ServerResponse): void => handler(request, response);
  const server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const issuer = `${options.tls ? 'https' : 'http'}://localhost:${port}`;
  const clientId = 'identree';
  const clientSecret = randomBytes(24).toString('hex');
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });

  const provider = new Provider(issuer, {
    adapter: createMemoryAdapter(Date.now),
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [...options.redirectUris],
        post_logout_redirect_uris: [],
        grant_types: ['authorization_code'],
        response_types: ['code'],
        require_auth_time: true,
      },
    ],
    jwks: { keys: [{ ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: 'e2e' }] },
    cookies: { keys: [randomBytes(24).toString('hex')] },
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    ttl: { Session: 3600, Grant: 3600, AccessToken: 600, IdToken: 600, Interaction: 600 },
    findAccount: (_, id) => {
      const user = users.find(({ username }) => id === `sub-${username}`);
      if (!user) return undefined;
      return {
        accountId: id,
        claims: () => ({
          sub: id,
          name: user.name,
          preferred_username: user.username,
          email: `${user.username}@example.com`,
          email_verified: true,
          groups: [...user.groups],
        }),
      };
    },
    // The one client is ours, so nobody is asked for consent.
    async loadExistingGrant(context) {
      const { client, session, result } = context.oidc;
      const accountId = session?.accountId;
      if (!client || !accountId) return undefined;
      const grantId = result?.consent?.grantId ?? session.grantIdFor(client.clientId);
      const found = grantId ? await provider.Grant.find(grantId) : undefined;
      if (found) return found;
      const grant = new provider.Grant({ clientId: client.clientId, accountId });
      grant.addOIDCScope('openid profile email groups');
      await grant.save();
      return grant;
    },
  });

  const serve = provider.callback();
  handler = (request, response) => {
    const match = /^\/interaction\/[\w-]+(?:\?login=(\w+))?$/.exec(request.url ?? '');
    if (!match) return void serve(request, response);
    void (async () => {
      const { prompt, params } = await provider.interactionDetails(request, response);
      const login = match[1];
      if (login) {
        await provider.interactionFinished(
          request,
          response,
          prompt.name === 'login' ? { login: { accountId: `sub-${login}` } } : { consent: {} },
          { mergeWithLastSubmission: true },
        );
        return;
      }
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      const links = users.map(
        ({ username, name }) => `<p><a href="?login=${encodeURIComponent(username)}">${html(name)}</a></p>`,
      );
      response.end(
        `<!doctype html><title>Sign in</title><h1>Sign in to ${html(String(params.client_id))}</h1>${links.join('')}`,
      );
    })().catch((error: unknown) => {
      response.writeHead(400, { 'content-type': 'text/plain' });
      response.end(String(error));
    });
  };

  return {
    issuer,
    clientId,
    clientSecret,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
