import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import type { Engine } from './engine.ts';
import type { Schema } from './schema.ts';

const CHANNEL = 'identree_events';
const RECONNECT_MS = 1000;
/** How long a statement may take, also to wait for a lock, milliseconds. */
const STATEMENT_MS = 10_000;
/**
 * How long a transaction may stand still, milliseconds. A server that was frozen or cut off in the middle of one holds its
 * locks: what waits for the head of the event log has to be let through before its own statement is given up.
 */
const STANDSTILL_MS = 5000;

// bigint columns hold milliseconds and sequence numbers, all below 2^53.
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    return oid === 20 ? Number : pg.types.getTypeParser(oid, format as 'text');
  },
} as pg.CustomTypesConfig;

/** Postgres: a pool, and one connection that listens for other replicas. */
export async function openPostgres(dsn: string, maxConnections: number): Promise<Engine> {
  const pool = new pg.Pool({
    connectionString: dsn,
    max: maxConnections,
    types,
    statement_timeout: STATEMENT_MS,
    idle_in_transaction_session_timeout: STANDSTILL_MS,
  });
  // A connection that breaks fails the query that uses it; without listeners it would end the process as well. The
  // pool listens to connections that lie idle, nobody to those in use.
  pool.on('error', () => {});
  pool.on('connect', (client) => void client.on('error', () => {}));
  const kysely = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  const listeners = new Set<() => void>();
  let listening: pg.Client | undefined;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;

  async function listen(): Promise<void> {
    if (closed) return;
    const client = new pg.Client({ connectionString: dsn });
    const again = () => {
      if (listening === client) listening = undefined;
      if (!closed) retry = setTimeout(() => void listen(), RECONNECT_MS).unref();
    };
    client.on('error', () => {});
    client.on('notification', () => {
      for (const run of listeners) run();
    });
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
      client.once('end', again);
      listening = client;
      // What was said while nobody listened is lost; readers catch up from their cursors.
      for (const run of listeners) run();
    } catch {
      void client.end().catch(() => {});
      again();
    }
  }
  await listen();

  return {
    driver: 'postgres',
    writer: kysely,
    reader: kysely,
    snapshot: (run) =>
      kysely
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute(async (query) => {
          // Nobody waits for who only reads, and what is read may be written elsewhere in between.
          await sql`set local idle_in_transaction_session_timeout = 0`.execute(query);
          return run(query);
        }),
    transact: (run) => kysely.transaction().execute(run),
    async notify() {
      await pool.query(`notify ${CHANNEL}`);
    },
    onNotify(run) {
      listeners.add(run);
      return () => listeners.delete(run);
    },
    async close() {
      closed = true;
      clearTimeout(retry);
      await listening?.end().catch(() => {});
      await kysely.destroy();
    },
  };
}
