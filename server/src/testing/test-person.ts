import type { LightMyRequestResponse } from 'fastify';
import { createTestAuthenticator, type TestAuthenticator } from '#shared/testing/authenticator.ts';
import type { App } from '../app/app.ts';
import type { Clock } from '../platform/clock.ts';
import { answerOf, type Called } from './test-browser.ts';
import { identity, type TestProvider } from './test-provider.ts';

export type { Called } from './test-browser.ts';
export { createTestProvider, type TestProvider } from './test-provider.ts';

/** A signed-in person in a browser of their own. */
export interface TestPerson {
  cookie: string;
  csrf: string;
  passkey: TestAuthenticator;
  query<T = unknown>(name: string, input?: unknown): Promise<Called<T>>;
  mutate<T = unknown>(name: string, input: unknown, headers?: Record<string, string>): Promise<Called<T>>;
}

/** Somebody with the cookie, token and passkey that they have already, at this server. */
export function testPersonAt(app: App, has: Pick<TestPerson, 'cookie' | 'csrf' | 'passkey'>): TestPerson {
  const person: TestPerson = {
    ...has,
    query: async (name, input) =>
      answerOf(
        await app.http.inject({
          url: `/trpc/${name}${input === undefined ? '' : `?input=${encodeURIComponent(JSON.stringify(input))}`}`,
          headers: { cookie: person.cookie },
        }),
      ),
    mutate: async (name, input, headers = {}) =>
      answerOf(
        await app.http.inject({
          method: 'POST',
          url: `/trpc/${name}`,
          headers: {
            cookie: person.cookie,
            origin: app.config.externalUrl,
            'sec-fetch-site': 'same-origin',
            'x-csrf-token': person.csrf,
            'content-type': 'application/json',
            ...headers,
          },
          payload: JSON.stringify(input),
        }),
      ),
  };
  return person;
}

/** Signs somebody in and, unless told otherwise, registers a passkey. */
export async function signInTestPerson(
  app: App,
  provider: TestProvider,
  clock: Clock,
  username: string,
  options: { groups?: string[]; passkey?: boolean; subject?: string } = {},
): Promise<TestPerson> {
  const { groups = [], subject = `subject of ${username}` } = options;
  const issuer = 'https://idp.example.com';
  const who = identity(username, { issuer, subject, groups, displayName: username, authTime: clock.now() });
  provider.next = { ok: true, identity: who };
  const origin = app.config.externalUrl;
  const start = await app.http.inject({ url: '/sessions/login' });
  const state = new URL(String(start.headers.location)).searchParams.get('state') ?? '';
  const jar = (response: LightMyRequestResponse) =>
    response.cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
  const back = await app.http.inject({
    url: `/callback?code=c&state=${encodeURIComponent(state)}`,
    headers: { cookie: jar(start) },
  });
  if (back.statusCode !== 303) throw new Error(`sign-in failed: ${back.statusCode} ${back.body}`);
  const passkey = createTestAuthenticator({ origin });
  const person = testPersonAt(app, { cookie: jar(back), csrf: '', passkey });
  person.csrf = (await person.query<{ csrfToken: string }>('me.get')).data.csrfToken;
  if (options.passkey !== false) {
    const creation = await person.mutate('passkeys.registrationOptions', {});
    const made = await person.mutate('passkeys.register', {
      name: 'phone',
      response: person.passkey.register(creation.data as never),
    });
    if (made.refusal) throw new Error(`passkey refused: ${made.refusal}`);
  }
  return person;
}
