import type { LightMyRequestResponse } from 'fastify';
import { sha256 } from '#shared/digest.ts';
import { createTestAuthenticator, type TestAuthenticator } from '#shared/testing/authenticator.ts';
import type { App } from '../app/app.ts';
import type { Identity } from '../auth/identity-provider.ts';
import type { Clock } from '../platform/clock.ts';
import { identity, type TestProvider } from './test-provider.ts';

/** What a call of a procedure came to. */
export interface Called<T = unknown> {
  status: number;
  data: T;
  /** Code of the error table; null when it worked. */
  refusal: string | null;
}

/** What `me.get` says about who is signed in. */
export interface Me {
  person: { username: string; displayName: string };
  role: string;
  sessionKind: string;
  csrfToken: string;
  accounts: string[];
  passkeys: number;
  authTime: number;
}

export type TestBrowser = ReturnType<typeof createTestBrowser>;
export type TestDesktopApp = ReturnType<typeof createTestDesktopApp>;

interface Sent {
  headers?: Record<string, string>;
  payload?: string;
  contentType?: string;
}

/** What the desktop app asks the sign-in page for, and what proves afterwards that it was the one who asked. */
export const DESKTOP_VERIFIER = 'v'.repeat(64);
export const DESKTOP_REQUEST = {
  code_challenge: sha256(DESKTOP_VERIFIER),
  code_challenge_method: 'S256',
  redirect_uri: 'http://127.0.0.1:43210/callback',
  state: 's'.repeat(43),
};

/** A browser with its own cookies that behaves as browsers do on our own pages. */
export function createTestBrowser(site: { app: App; provider: TestProvider; clock: Clock; remoteAddress?: string }) {
  const { app, provider, clock, remoteAddress = '192.0.2.7' } = site;
  const { externalUrl } = app.config;
  const prefix = externalUrl.startsWith('https:') ? '__Host-' : '';
  const sessionCookie = `${prefix}identree_session`;
  const own = { origin: externalUrl, 'sec-fetch-site': 'same-origin' };
  const jar = new Map<string, string>();
  const cookieHeader = (): string => [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  /** The token of the session that has this cookie: it stays the same as long as the session. */
  let known = { cookie: '', csrf: '' };

  async function send(method: 'GET' | 'POST', url: string, request: Sent = {}): Promise<LightMyRequestResponse> {
    const headers: Record<string, string> = { 'user-agent': 'test', ...request.headers };
    if (jar.size > 0 && headers.cookie === undefined) headers.cookie = cookieHeader();
    if (request.contentType) headers['content-type'] = request.contentType;
    const response = await app.http.inject({ method, url, headers, payload: request.payload ?? '', remoteAddress });
    for (const { name, value, maxAge } of response.cookies) {
      if (maxAge === 0) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  const self = {
    jar,
    send,
    sessionCookie,
    loginCookie: `${prefix}identree_login`,
    /** The header that it sends, for who asks in its name. */
    get cookie() {
      return cookieHeader();
    },
    get: (url: string, headers: Record<string, string> = {}) => send('GET', url, { headers }),
    /** Submits a form of our own page. */
    submit: (url: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
      send('POST', url, {
        headers: { ...own, ...headers },
        contentType: 'application/x-www-form-urlencoded',
        payload: new URLSearchParams(fields).toString(),
      }),

    /** Who is signed in; null: nobody. */
    me: async () => (await self.query<Me | null>('me.get')).data,
    async csrf(): Promise<string> {
      const cookie = jar.get(sessionCookie) ?? '';
      if (known.csrf === '' || known.cookie !== cookie) {
        known = { cookie, csrf: cookie === '' ? '' : ((await self.me())?.csrfToken ?? '') };
      }
      return known.csrf;
    },
    async query<T = unknown>(name: string, input?: unknown, headers?: Record<string, string>): Promise<Called<T>> {
      return answerOf(await send('GET', `/trpc/${name}${searchOf(input)}`, { headers: headers ?? {} }));
    },
    /** Calls a mutation as our own page does, or with these headers instead. */
    async mutate<T = unknown>(name: string, input?: unknown, headers?: Record<string, string>): Promise<Called<T>> {
      const sent = headers ?? { ...own, 'x-csrf-token': await self.csrf() };
      const payload = input === undefined ? '' : JSON.stringify(input);
      return answerOf(await send('POST', `/trpc/${name}`, { headers: sent, contentType: 'application/json', payload }));
    },

    /** Begins a sign-in and returns the state that the provider gives back. */
    async beginSignIn(query = ''): Promise<string> {
      const response = await send('GET', `/sessions/login${query}`);
      return new URL(String(response.headers.location)).searchParams.get('state') ?? '';
    },
    /** A whole sign-in. */
    async signIn(who: Identity, query = ''): Promise<LightMyRequestResponse> {
      const state = await self.beginSignIn(query);
      provider.next = { ok: true, identity: who };
      return send('GET', `/callback?code=c&state=${encodeURIComponent(state)}`);
    },
    /** Signs in just now, as somebody who typed their password. */
    async signInFresh(username: string, more: Partial<Identity> = {}): Promise<LightMyRequestResponse> {
      const response = await self.signIn(identity(username, { authTime: clock.now(), ...more }), '?step_up=1');
      if (response.statusCode !== 303) throw new Error(`sign-in failed: ${response.statusCode} ${response.body}`);
      return response;
    },

    /** Registers the first passkey of the person who is signed in. */
    async firstPasskey(passkey = createTestAuthenticator({ origin: externalUrl })): Promise<TestAuthenticator> {
      const creation = await self.mutate('passkeys.registrationOptions', {});
      const response = passkey.register(creation.data as never);
      const made = await self.mutate('passkeys.register', { name: 'first', response });
      if (made.refusal !== null) throw new Error(`first passkey refused: ${made.refusal}`);
      return passkey;
    },
    /** Adds a passkey, vouched for by another one. */
    async addPasskey(
      by: TestAuthenticator,
      passkey = createTestAuthenticator({ origin: externalUrl }),
    ): Promise<TestAuthenticator> {
      const request = await self.mutate('passkeys.additionOptions');
      const assertion = by.assert(request.data as never);
      const creation = await self.mutate('passkeys.registrationOptions', { assertion });
      const response = passkey.register(creation.data as never);
      const made = await self.mutate('passkeys.register', { name: 'another', response });
      if (made.refusal !== null) throw new Error(`passkey refused: ${made.refusal}`);
      return passkey;
    },

    /** Allows a desktop app to sign in as the person in this browser. */
    allowDesktop: async (change: Record<string, string> = {}): Promise<LightMyRequestResponse> =>
      self.submit('/desktop/sign-in', { ...DESKTOP_REQUEST, csrf_token: await self.csrf(), ...change }),
    /** The desktop app of the person in this browser, signed in. */
    async desktopApp(): Promise<TestDesktopApp> {
      const code = desktopCodeIn(await self.allowDesktop());
      const { status, body } = await exchangeDesktopCode(app, code);
      if (status !== 200) throw new Error(`the desktop app was refused: ${status}`);
      return createTestDesktopApp(app, body.credential);
    },
  };
  return self;
}

/** The code in the address to which consent sends the browser; empty when there is none. */
export const desktopCodeIn = ({ headers }: LightMyRequestResponse): string =>
  new URL(String(headers.location)).searchParams.get('code') ?? '';

/** Turns the code of a consent into the credential of a desktop session. */
export async function exchangeDesktopCode(app: App, code: string, verifier = DESKTOP_VERIFIER) {
  const response = await app.http.inject({
    method: 'POST',
    url: '/api/desktop/token',
    payload: { code, code_verifier: verifier },
    remoteAddress: '127.0.0.1',
  });
  return {
    status: response.statusCode,
    headers: response.headers,
    body: response.json() as { credential: string; expiresAt: number },
  };
}

/** What the desktop app sends: a credential and nothing else of a browser. */
export function createTestDesktopApp(app: App, credential: string) {
  const headers = { authorization: `Bearer ${credential}` };
  const remoteAddress = '127.0.0.1';
  const self = {
    credential,
    me: async () => (await self.query<Me | null>('me.get')).data,
    async query<T = unknown>(name: string, input?: unknown): Promise<Called<T>> {
      return answerOf(await app.http.inject({ url: `/trpc/${name}${searchOf(input)}`, headers, remoteAddress }));
    },
    async mutate<T = unknown>(name: string, input?: unknown): Promise<Called<T>> {
      return answerOf(
        await app.http.inject({
          method: 'POST',
          url: `/trpc/${name}`,
          headers: { ...headers, 'content-type': 'application/json' },
          payload: input === undefined ? '' : JSON.stringify(input),
          remoteAddress,
        }),
      );
    },
  };
  return self;
}

const searchOf = (input: unknown): string =>
  input === undefined ? '' : `?input=${encodeURIComponent(JSON.stringify(input))}`;

/** Reads what a procedure answered. */
export function answerOf<T>(response: LightMyRequestResponse): Called<T> {
  const body = response.json() as { result?: { data?: T }; error?: { code?: string; data?: { reason?: string } } };
  const refusal = body.error ? (body.error.data?.reason ?? String(body.error.code)) : null;
  return { status: response.statusCode, data: (body.result?.data ?? null) as T, refusal };
}
