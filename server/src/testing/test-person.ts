import { createTestAuthenticator, type TestAuthenticator } from '#shared/testing/authenticator.ts';
import type { App } from '../app/app.ts';
import type { Identity } from '../auth/identity-provider.ts';
import type { Clock } from '../platform/clock.ts';
import { type Called, createTestBrowser, type TestBrowser } from './test-browser.ts';
import { identity, type TestProvider } from './test-provider.ts';

export type { Called } from './test-browser.ts';
export { createTestProvider, type TestProvider } from './test-provider.ts';

/** Somebody in a browser of their own, signed in or not. */
export interface TestPerson {
  readonly browser: TestBrowser;
  readonly cookie: string;
  readonly csrf: string;
  readonly passkey: TestAuthenticator;
  query<T = unknown>(name: string, input?: unknown): Promise<Called<T>>;
  mutate<T = unknown>(name: string, input: unknown): Promise<Called<T>>;
  /** The same person with the same cookies, at another server. */
  at(app: App): Promise<TestPerson>;
}

interface Site {
  app: App;
  provider: TestProvider;
  clock: Clock;
}

async function personIn(browser: TestBrowser, passkey: TestAuthenticator, site: Site): Promise<TestPerson> {
  return {
    browser,
    passkey,
    cookie: browser.cookie,
    csrf: await browser.csrf(),
    query: (name, input) => browser.query(name, input),
    mutate: (name, input) => browser.mutate(name, input),
    at(app) {
      const there = createTestBrowser({ ...site, app });
      for (const [name, value] of browser.jar) there.jar.set(name, value);
      return personIn(there, passkey, { ...site, app });
    },
  };
}

/** Somebody who has never signed in here, with a passkey that nobody knows. */
export function testStranger(app: App, provider: TestProvider, clock: Clock): Promise<TestPerson> {
  const site = { app, provider, clock };
  return personIn(createTestBrowser(site), createTestAuthenticator({ origin: app.config.externalUrl }), site);
}

/** Signs somebody in and, unless told otherwise, registers a passkey. */
export async function signInTestPerson(
  app: App,
  provider: TestProvider,
  clock: Clock,
  username: string,
  options: { groups?: string[]; passkey?: boolean; subject?: string; sourceId?: Identity['sourceId'] } = {},
): Promise<TestPerson> {
  const { groups = [], subject = `subject of ${username}`, sourceId = null } = options;
  const issuer = 'https://idp.example.com';
  const site = { app, provider, clock };
  const browser = createTestBrowser(site);
  const back = await browser.signIn(
    identity(username, { issuer, subject, groups, sourceId, displayName: username, authTime: clock.now() }),
  );
  if (back.statusCode !== 303) throw new Error(`sign-in failed: ${back.statusCode} ${back.body}`);
  const passkey = createTestAuthenticator({ origin: app.config.externalUrl });
  if (options.passkey !== false) await browser.firstPasskey(passkey);
  return personIn(browser, passkey, site);
}
