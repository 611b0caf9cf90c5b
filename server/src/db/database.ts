import { sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import type { Metric } from 'prom-client';
import { VERSION } from '../version.ts';
import type { Durability, Engine } from './engine.ts';
import { createDatabaseMeasure } from './measured.ts';
import * as baseline from './migrations/0001-baseline.ts';
import * as directory from './migrations/0002-directory.ts';
import * as readers from './migrations/0003-readers.ts';
import * as providerSessions from './migrations/0004-provider-sessions.ts';
import * as runs from './migrations/0005-runs.ts';
import * as accounts from './migrations/0006-accounts.ts';
import * as hostReports from './migrations/0007-host-reports.ts';
import * as probes from './migrations/0009-probes.ts';
import * as speed from './migrations/0010-speed.ts';
import * as breakGlass from './migrations/0011-break-glass.ts';
import * as logHeads from './migrations/0012-log-heads.ts';
import * as bindProofs from './migrations/0014-bind-proofs.ts';
import * as auditSinks from './migrations/0016-audit-sinks.ts';
import * as revealRequests from './migrations/0017-reveal-requests.ts';
import * as auditReads from './migrations/0018-audit-reads.ts';
import * as erasures from './migrations/0019-erasures.ts';
import * as eventIndexes from './migrations/0020-event-indexes.ts';
import * as hostAuthorities from './migrations/0021-host-authorities.ts';
import * as hostChecks from './migrations/0022-host-checks.ts';
import * as notifications from './migrations/0023-notifications.ts';
import * as offlineGrants from './migrations/0025-offline-grants.ts';
import * as requestsShown from './migrations/0027-requests-shown.ts';
import * as counterSigned from './migrations/0028-counter-signed.ts';
import * as exchanges from './migrations/0029-exchanges.ts';
import * as hostJournals from './migrations/0030-host-journals.ts';
import * as certificateLives from './migrations/0031-certificate-lives.ts';
import * as sinksDelivered from './migrations/0032-sinks-delivered.ts';
import { openPostgres, type PostgresOptions } from './postgres.ts';
import { closed, type Query } from './query.ts';
import { openSqlite } from './sqlite.ts';
import { createTroubleTeller, type TroubleListener } from './tell-trouble.ts';
import { DatabaseTrouble } from './trouble.ts';

/** Runs inside a transaction; what it registers with `afterCommit` runs once the change is as durable as it is to be. */
export interface UnitOfWork {
  readonly driver: Database['driver'];
  readonly query: Query;
  afterCommit(run: () => void): void;
  /** What runs when it is over, committed or not. */
  onEnd(run: () => void): void;
}

/** The one database handle. Stores are the only files that use it. */
export interface Database {
  readonly driver: Engine['driver'];
  /** For reading outside a transaction. Sees only what is committed. */
  readonly query: Query;
  /** Reads everything as it was at one moment, while others go on writing. */
  snapshot<T>(run: (query: Query) => Promise<T>): Promise<T>;
  /**
   * All or nothing; durable when the promise resolves, unless it may be lost. Any exception rolls back and is thrown again.
   */
  transaction<T>(run: (work: UnitOfWork) => Promise<T>, durability?: Durability): Promise<T>;
  /** Whether what failed is trouble with it that was told already. */
  isTold(error: unknown): boolean;
  /** How long ago it could not be asked or written last, milliseconds; null: it always could. */
  troubleAgoMs(): number | null;
  /** Whether there was no room for a change within the last seconds, though there may be for another one. */
  wasFull(): boolean;
  /** What is measured of it. */
  readonly metrics: readonly Metric[];
  /** Tells other server processes on the same database that there are new events. */
  notify(): Promise<void>;
  /** Calls back when another process has said so. Returns a function that stops it. */
  onNotify(run: () => void): () => void;
  /** Calls back each time when it is found that it does not answer any more. Returns a function that stops it. */
  onAway(run: () => void): () => void;
  close(): Promise<void>;
}

/** What a database is taken through, in the order of their names. Those that have shipped never change. */
export const migrations = {
  '0001-baseline': baseline,
  '0002-directory': directory,
  '0003-readers': readers,
  '0004-provider-sessions': providerSessions,
  '0005-runs': runs,
  '0006-accounts': accounts,
  '0007-host-reports': hostReports,
  '0009-probes': probes,
  '0010-speed': speed,
  '0011-break-glass': breakGlass,
  '0012-log-heads': logHeads,
  '0014-bind-proofs': bindProofs,
  '0016-audit-sinks': auditSinks,
  '0017-reveal-requests': revealRequests,
  '0018-audit-reads': auditReads,
  '0019-erasures': erasures,
  '0020-event-indexes': eventIndexes,
  '0021-host-authorities': hostAuthorities,
  '0022-host-checks': hostChecks,
  '0023-notifications': notifications,
  '0025-offline-grants': offlineGrants,
  '0027-requests-shown': requestsShown,
  '0028-counter-signed': counterSigned,
  '0029-exchanges': exchanges,
  '0030-host-journals': hostJournals,
  '0031-certificate-lives': certificateLives,
  '0032-sinks-delivered': sinksDelivered,
};

const KNOWN = Object.keys(migrations).sort();

/** Names of the migrations that a database has been through, oldest first; none for one that is empty. */
async function appliedMigrations({ driver, reader }: Engine): Promise<string[]> {
  const there =
    driver === 'sqlite'
      ? sql<{ n: number }>`select count(*) as n from sqlite_master where name = 'kysely_migration'`
      : sql<{ n: number }>`select count(to_regclass('kysely_migration')) as n`;
  if (Number((await there.execute(reader)).rows[0]?.n) === 0) return [];
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(reader);
  return rows.map(({ name }) => name);
}

/** Which version a server had that has used the database, as far as it has said so. */
async function versionOf(engine: Engine): Promise<string> {
  const row = await engine.reader.selectFrom('meta').select('value').where('key', '=', 'version').executeTakeFirst();
  return row ? ` of identree ${row.value}` : '';
}

/** Brings the schema up to date. @throws when it is a newer program's, or may not be changed and has to be */
async function migrate(engine: Engine, may: 'migrate' | 'create'): Promise<void> {
  const applied = await appliedMigrations(engine);
  const newest = KNOWN.at(-1);
  if (applied.some((name) => !KNOWN.includes(name))) {
    throw new Error(
      `the database has the schema ${applied.at(-1)}${await versionOf(engine)}, which is newer than this program: identree ${VERSION} knows the schema ${newest}. Run the newer version`,
    );
  }
  if (applied.length === KNOWN.length) return;
  if (may === 'create' && applied.length > 0) {
    throw new Error(
      `the database has the schema ${applied.at(-1)}${await versionOf(engine)}, and identree ${VERSION} works with the schema ${newest}. Start the server of this version first: that brings the database up to date`,
    );
  }
  let failure: unknown;
  try {
    await engine.migrating(async (db) => {
      const { error } = await new Migrator({
        db,
        provider: { getMigrations: async () => migrations },
      }).migrateToLatest();
      failure = error;
      if (error) throw error;
    });
  } catch (error) {
    if (failure === undefined || failure instanceof DatabaseTrouble) throw error;
    throw new Error('the database could not be migrated', { cause: failure });
  }
}

/** For how long it is remembered that there was no room, milliseconds: longer than clients take to ask again. */
const FULL_FOR_MS = 10_000;

export type DatabaseOptions = { driver: 'sqlite'; dsn: string } | ({ driver: 'postgres' } & PostgresOptions);

/**
 * Opens the database and brings its schema up to date.
 *
 * @param options.dsn a file path for SQLite, a libpq URL for Postgres.
 * @param listener hears of failures that are the database's own, and when they are over.
 * @param may `create`: the schema of a database that is there is not changed, only that of an empty one is made.
 * @throws when it cannot be opened or a migration fails; nothing is served then.
 */
export async function openDatabase(
  options: DatabaseOptions,
  listener: TroubleListener = { begins() {}, ends() {} },
  may: 'migrate' | 'create' = 'migrate',
): Promise<Database> {
  const told = createTroubleTeller(listener);
  const { metrics, answered } = createDatabaseMeasure(() => engine.connections());
  const engine: Engine =
    options.driver === 'sqlite'
      ? openSqlite(options.dsn, told.trouble, answered)
      : await openPostgres(options, told, answered);
  try {
    await migrate(engine, may);
  } catch (error) {
    await engine.close();
    throw error;
  }
  let fullAt = Number.NEGATIVE_INFINITY;
  return {
    driver: engine.driver,
    metrics,
    query: closed(engine.reader),
    snapshot: (run) => engine.snapshot((query) => run(closed(query))),
    async transaction(run, durability) {
      const after: (() => void)[] = [];
      const ended: (() => void)[] = [];
      try {
        const result = await engine.transact(
          (query) =>
            run({
              driver: engine.driver,
              query: closed(query),
              afterCommit: (callback) => void after.push(callback),
              onEnd: (callback) => void ended.push(callback),
            }),
          durability,
        );
        told.wrote();
        for (const callback of after) callback();
        return result;
      } catch (error) {
        if (error instanceof DatabaseTrouble && error.kind === 'full') fullAt = performance.now();
        throw error;
      } finally {
        for (const callback of ended) callback();
      }
    },
    isTold: told.isTold,
    troubleAgoMs: told.agoMs,
    wasFull: () => performance.now() - fullAt < FULL_FOR_MS,
    notify: engine.notify,
    onNotify: engine.onNotify,
    onAway: engine.onAway,
    close: engine.close,
  };
}
