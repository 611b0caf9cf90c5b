import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type App, type AppOptions, createApp } from '../app/app.ts';
import type { Config } from '../config/config.ts';
import { makeTestPostgres, makeTestSqlite } from '../db/test-databases.ts';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import { manualClock } from '../platform/clock.ts';
import { testConfig } from './test-config.ts';

export { TEST_EXTERNAL_URL } from './test-config.ts';

/** Less than it takes for a server to count as having been away, milliseconds. */
const LOOKS_EVERY_MS = 5000;

/** The whole server on a temporary database, with a clock that stands still. Nothing listens: use `app.http.inject`. */
export interface TestApp {
  app: App;
  clock: ReturnType<typeof manualClock>;
  config: Config;
  /** A second server on the same database and keys; Postgres only, as in production. */
  replica(): Promise<App>;
  close(): Promise<void>;
}

export async function createTestApp(
  options: {
    /** Settings as an operator writes them. */
    env?: Record<string, string>;
    /** Settings that no operator can write. */
    config?: Partial<Config>;
    driver?: Config['database']['driver'];
    app?: Omit<AppOptions, 'clock'>;
    /** Where the clock stands; certificates that others check need the present. */
    now?: number;
  } = {},
): Promise<TestApp> {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-test-'));
  const clock = manualClock(options.now);
  const postgres = options.driver === 'postgres' ? await makeTestPostgres() : null;
  const config: Config = {
    ...testConfig(folder, {
      ...(postgres ? { IDENTREE_DATABASE_DRIVER: 'postgres', IDENTREE_DATABASE_DSN: postgres.dsn } : {}),
      ...options.env,
    }),
    ...options.config,
  };
  const { driver, dsn } = config.database;
  if (driver === 'sqlite' && dirname(dsn) === folder) await makeTestSqlite(dsn);
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

/** Lets time pass for a server that looks for what is overdue all the while, as one does that runs. */
export async function passTime(
  { app, clock }: { app: { settling: Pick<App['settling'], 'reap'> }; clock: TestApp['clock'] },
  ms: number,
): Promise<void> {
  await app.settling.reap();
  for (let left = ms; left > 0; left -= LOOKS_EVERY_MS) {
    clock.advance(Math.min(left, LOOKS_EVERY_MS));
    await app.settling.reap();
  }
}
