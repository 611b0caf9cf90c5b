import { Migrator } from 'kysely/migration';
import type { Engine } from './engine.ts';
import * as baseline from './migrations/0001-baseline.ts';
import * as directory from './migrations/0002-directory.ts';
import * as readers from './migrations/0003-readers.ts';
import * as providerSessions from './migrations/0004-provider-sessions.ts';
import * as runs from './migrations/0005-runs.ts';
import * as accounts from './migrations/0006-accounts.ts';
import * as hostReports from './migrations/0007-host-reports.ts';
import * as speed from './migrations/0010-speed.ts';
import * as logHeads from './migrations/0012-log-heads.ts';
import { openPostgres } from './postgres.ts';
import { closed, type Query } from './query.ts';
import { openSqlite } from './sqlite.ts';

/** Runs inside a transaction; what it registers with `afterCommit` runs once the change is durable. */
export interface UnitOfWork {
  readonly driver: Database['driver'];
  readonly query: Query;
  afterCommit(run: () => void): void;
}

/** The one database handle. Stores are the only files that use it. */
export interface Database {
  readonly driver: Engine['driver'];
  /** For reading outside a transaction. Sees only what is committed. */
  readonly query: Query;
  /** Reads everything as it was at one moment, while others go on writing. */
  snapshot<T>(run: (query: Query) => Promise<T>): Promise<T>;
  /** All or nothing; durable when the promise resolves. Any exception rolls back and is thrown again. */
  transaction<T>(run: (work: UnitOfWork) => Promise<T>): Promise<T>;
  /** Tells other server processes on the same database that there are new events. */
  notify(): Promise<void>;
  /** Calls back when another process has said so. Returns a function that stops it. */
  onNotify(run: () => void): () => void;
  close(): Promise<void>;
}

/** Every step from an empty database to this version, in order. */
export const migrations = {
  '0001-baseline': baseline,
  '0002-directory': directory,
  '0003-readers': readers,
  '0004-provider-sessions': providerSessions,
  '0005-runs': runs,
  '0006-accounts': accounts,
  '0007-host-reports': hostReports,
  '0010-speed': speed,
  '0012-log-heads': logHeads,
};

async function migrate(engine: Engine): Promise<void> {
  const migrator = new Migrator({ db: engine.writer, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error) throw new Error('the database could not be migrated', { cause: error });
}

/**
 * Opens the database and brings its schema up to date.
 *
 * @param options.dsn a file path for SQLite, a libpq URL for Postgres.
 * @throws when it cannot be opened or a migration fails; nothing is served then.
 */
export async function openDatabase(
  options: { driver: 'sqlite'; dsn: string } | { driver: 'postgres'; dsn: string; maxConnections: number },
): Promise<Database> {
  const engine =
    options.driver === 'sqlite' ? openSqlite(options.dsn) : await openPostgres(options.dsn, options.maxConnections);
  try {
    await migrate(engine);
  } catch (error) {
    await engine.close();
    throw error;
  }
  return {
    driver: engine.driver,
    query: closed(engine.reader),
    snapshot: (run) => engine.snapshot((query) => run(closed(query))),
    async transaction(run) {
      const after: (() => void)[] = [];
      const result = await engine.transact((query) =>
        run({ driver: engine.driver, query: closed(query), afterCommit: (callback) => void after.push(callback) }),
      );
      for (const callback of after) callback();
      return result;
    },
    notify: engine.notify,
    onNotify: engine.onNotify,
    close: engine.close,
  };
}
