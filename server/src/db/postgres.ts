import { randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import type { Engine } from './engine.ts';
import { CONNECT_MS, createLimitedPool, types } from './postgres-pool.ts';
import { watchPostgres } from './postgres-watch.ts';
import type { Schema } from './schema.ts';
import type { TroubleTeller } from './tell-trouble.ts';
import { asTrouble } from './trouble.ts';

const CHANNEL = 'identree_events';
/** How often there may be something new of other servers where they cannot say so, milliseconds. */
const LOOK_EVERY_MS = 500;

/** Where Postgres is and how it is used. */
export interface PostgresOptions {
  dsn: string;
  maxConnections: number;
  /** `transaction`: a pooler stands in between, and gives a connection for one transaction at a time. */
  pooler?: 'none' | 'transaction';
}

/** A schema is changed without limits of time: an index of a large table takes as long as it takes. */
async function migrating<T>(dsn: string, run: (writer: Kysely<Schema>) => Promise<T>): Promise<T> {
  const pool = new pg.Pool({ connectionString: dsn, max: 1, types, connectionTimeoutMillis: CONNECT_MS });
  pool.on('error', () => {});
  pool.on('connect', (client) => void client.on('error', () => {}));
  const writer = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  try {
    return await run(writer);
  } catch (error) {
    throw asTrouble(error, '', 'away');
  } finally {
    await writer.destroy();
  }
}

/** Postgres: a pool, and one connection that listens for other replicas and watches over the others. */
export async function openPostgres(
  { dsn, maxConnections, pooler }: PostgresOptions,
  told: Pick<TroubleTeller, 'trouble' | 'answers'>,
  onAnswer: (milliseconds: number) => void = () => {},
): Promise<Engine> {
  const pooled = pooler === 'transaction';
  let suspect = () => {};
  const pool = createLimitedPool({
    dsn,
    maxConnections,
    pooled,
    onAnswer,
    onTrouble(trouble) {
      if (trouble.kind === 'away') suspect();
      told.trouble(trouble);
    },
  });
  const kysely = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  /** What is said here is known here: who heard it again would look again for each event that this process writes. */
  const own = randomUUID();
  const listeners = new Set<() => void>();
  const awayListeners = new Set<() => void>();
  const notice = (all: ReadonlySet<() => void>): void => {
    for (const run of all) run();
  };
  const looking = pooled ? setInterval(() => notice(listeners), LOOK_EVERY_MS).unref() : undefined;

  const watch = await watchPostgres({
    connect() {
      const socket = new Socket();
      return { client: new pg.Client({ connectionString: dsn, stream: () => socket }), socket };
    },
    channel: pooled ? null : CHANNEL,
    onNotification(said) {
      if (said !== own) notice(listeners);
    },
    onHere() {
      pool.mend();
      told.answers();
      // What was said while nobody listened is lost; readers catch up from their cursors.
      notice(listeners);
    },
    onDoubt: pool.hold,
    onAway(cause) {
      pool.cut(cause);
      notice(awayListeners);
    },
  });
  suspect = watch.suspect;
  const close = async (): Promise<void> => {
    clearInterval(looking);
    await watch.close();
    await kysely.destroy();
    // The query builder ends what it has used.
    await pool.end();
  };
  try {
    (await pool.connect()).release();
  } catch (error) {
    await close();
    // So a pooler says it that does not know what our connections are limited by.
    if (!/unsupported startup parameter/.test(String(error))) throw error;
    const fix = 'is it a pooler? Then set IDENTREE_DATABASE_POOLER to transaction';
    throw new Error(`what is at IDENTREE_DATABASE_DSN takes no limits of time: ${fix}`, { cause: error });
  }

  const listen = (all: Set<() => void>, run: () => void) => {
    all.add(run);
    return () => void all.delete(run);
  };
  return {
    driver: 'postgres',
    writer: kysely,
    reader: kysely,
    migrating: (run) => migrating(dsn, run),
    snapshot: (run) =>
      kysely
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute(async (query) => {
          // Nobody waits for who only reads, and what is read may be written elsewhere in between.
          await sql`set local idle_in_transaction_session_timeout = 0`.execute(query);
          return run(query);
        }),
    connections: pool.connections,
    transact: (run) => kysely.transaction().execute(run),
    async notify() {
      await sql`select pg_notify(${CHANNEL}, ${own})`.execute(kysely);
    },
    onNotify: (run) => listen(listeners, run),
    onAway: (run) => listen(awayListeners, run),
    close,
  };
}
