import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, type AppOptions, createApp } from '../app.ts';
import type { Config } from '../config/config.ts';
import { makeTestPostgres } from '../db/test-databases.ts';
import { manualClock } from '../platform/clock.ts';

/** The whole server on a temporary database, with a clock that stands still. Nothing listens: use `app.http.inject`. */
export interface TestApp {
  app: App;
  clock: ReturnType<typeof manualClock>;
  config: Config;
  /** A second server on the same database and keys; Postgres only, as in production. */
  replica(): Promise<App>;
  close(): Promise<void>;
}

export const TEST_EXTERNAL_URL = 'https://identree.example.com';

export async function createTestApp(
  options: { config?: Partial<Config>; driver?: Config['database']['driver']; app?: Omit<AppOptions, 'clock'> } = {},
): Promise<TestApp> {
  const folder = await mkdtemp(join(tmpdir(), 'identree-test-'));
  const clock = manualClock();
  const postgres = options.driver === 'postgres' ? await makeTestPostgres() : null;
  const config = {
    externalUrl: TEST_EXTERNAL_URL,
    listen: { host: '127.0.0.1', port: 0 },
    tls: null,
    trustedProxies: [],
    keysDir: join(folder, 'keys'),
    logLevel: 'error',
    metricsToken: null,
    database: postgres
      ? { driver: 'postgres', dsn: postgres.dsn, maxConnections: 10 }
      : { driver: 'sqlite', dsn: join(folder, 'identree.db'), maxConnections: 1 },
    oidc: { issuerUrl: 'http://localhost:9', clientId: 'identree', clientSecret: 'not-used-here' },
    adminGroups: ['admins'],
    challengeTtlMs: 120_000,
    policiesFile: null,
    sharedSecret: null,
    enrolmentAutoConfirm: false,
    firstPasskeyNeedsCode: false,
    evaluation: false,
    ...options.config,
  } as Config;
  const app = await createApp(config, { ...options.app, clock });
  const replicas: App[] = [];
  return {
    app,
    clock,
    config,
    async replica() {
      const other = await createApp(config, { ...options.app, clock });
      replicas.push(other);
      return other;
    },
    async close() {
      for (const other of replicas) await other.close();
      await app.close();
      await postgres?.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
