import type { TestContext } from 'node:test';
import type { EventName } from '#shared/events.ts';
import { createTestAuthenticator } from '#shared/testing/authenticator.ts';
import type { IdentityProvider } from '../auth/identity-provider.ts';
import type { Database } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import { createLogger } from '../platform/logger.ts';
import { createTestApp } from './test-app.ts';
import { createTestBrowser } from './test-browser.ts';
import { createTestProvider } from './test-provider.ts';

export { identity } from './test-provider.ts';
export const ORIGIN = 'https://identree.test';

export type TestSite = Awaited<ReturnType<typeof createTestSite>>;

/** The whole server, and people in browsers who sign in at it. Ends with the test. */
export async function createTestSite(
  t: Pick<TestContext, 'after'>,
  options: {
    driver?: Database['driver'];
    /** Settings as an operator writes them. */
    env?: Record<string, string>;
    /** Replaces the provider that says what the test tells it to. */
    provider?: IdentityProvider;
  } = {},
) {
  const provider = createTestProvider();
  const lines: { level: number }[] = [];
  const log = createLogger('info', { write: (line) => void lines.push(JSON.parse(line)) });
  const { app, clock, close } = await createTestApp({
    env: { IDENTREE_EXTERNAL_URL: ORIGIN, ...options.env },
    ...(options.driver ? { driver: options.driver } : {}),
    app: { provider: options.provider ?? provider, log },
  });
  t.after(close);
  const { db, events } = app;
  const atFirst = (await events.head()).seq;
  const seen = () => events.read(atFirst, 1000);

  return {
    app,
    db,
    clock,
    events,
    provider,
    /** What the server logged as an error; a test may check that there was none. */
    get problems() {
      return lines.filter(({ level }) => level >= log.levels.values.error!);
    },
    /** Everything that the server logged. */
    logged: lines,
    browser: (remoteAddress?: string) =>
      createTestBrowser({ app, provider, clock, ...(remoteAddress ? { remoteAddress } : {}) }),
    authenticator: (more: Partial<Parameters<typeof createTestAuthenticator>[0]> = {}) =>
      createTestAuthenticator({ origin: app.config.externalUrl, ...more }),
    async personId(username: string): Promise<string> {
      const { id } = await kysely(db.query)
        .selectFrom('people')
        .select('id')
        .where('username', '=', username)
        .executeTakeFirstOrThrow();
      return id;
    },
    /** Names of all events so far, oldest first, without the ones that start-up wrote. */
    eventNames: async (): Promise<string[]> => (await seen()).map(({ event }) => event),
    eventsNamed: async (name: EventName) => (await seen()).filter(({ event }) => event === name),
  };
}
