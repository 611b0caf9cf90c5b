import { Socket } from 'node:net';
import type { PostgresPool, PostgresPoolClient } from 'kysely';
import pg from 'pg';
import type { Connections } from './measured.ts';
import { asTrouble, DatabaseTrouble } from './trouble.ts';

/** How long a transaction may stand still, milliseconds: one of a server that is frozen holds its locks for so long. */
const STANDSTILL_MS = 2000;
/**
 * How long a statement waits for a lock, milliseconds: longer than a transaction may stand still that holds it. What a
 * frozen server waits for, it may still be given, and hold for as long again: together they are what others wait.
 */
const LOCK_MS = 2500;
/** How long a statement may take in all, milliseconds. */
const STATEMENT_MS = 8000;
/** How long an answer is waited for, milliseconds: the database gives up before. */
const ANSWER_MS = 9000;
/** How long a request waits for a connection, milliseconds. */
export const CONNECT_MS = 5000;
/** How long the end of all connections may take, milliseconds. */
const GOODBYE_MS = 1000;

const LIMITS = {
  statement_timeout: STATEMENT_MS,
  lock_timeout: LOCK_MS,
  idle_in_transaction_session_timeout: STANDSTILL_MS,
};
/** The same where a connection is one's own for a transaction only. */
const LIMITED_BEGIN = `begin; ${Object.entries(LIMITS)
  .map(([name, ms]) => `set local ${name} = ${ms}`)
  .join('; ')}`;

// bigint columns hold milliseconds and sequence numbers, all below 2^53.
export const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    return oid === 20 ? Number : pg.types.getTypeParser(oid, format as 'text');
  },
} as pg.CustomTypesConfig;

export interface LimitedPool extends PostgresPool {
  /** Nobody waits for a connection any more. What is being asked may still be answered. */
  hold(cause: unknown): void;
  /** Nothing is asked any more, and what was asked fails: no answer would come. */
  cut(cause: unknown): void;
  /** It is asked again. */
  mend(): void;
  /** Connections as of now. */
  connections(): Connections;
}

/**
 * Connections on which nobody waits for ever: the database ends what stands still or takes too long, and this side what
 * gets no answer. Failures are told as {@link DatabaseTrouble}.
 *
 * @param deps.pooled a pooler stands in between, and a connection is one's own for a transaction only
 * @param deps.onAnswer called after each statement with the milliseconds that it took
 * @param deps.onTrouble called with each failure that is the database's own
 */
export function createLimitedPool(deps: {
  dsn: string;
  maxConnections: number;
  pooled: boolean;
  onAnswer: (milliseconds: number) => void;
  onTrouble: (trouble: DatabaseTrouble) => void;
}): LimitedPool {
  const sockets = new Set<Socket>();
  const pool = new pg.Pool({
    connectionString: deps.dsn,
    max: deps.maxConnections,
    types,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: ANSWER_MS,
    ...(deps.pooled ? {} : LIMITS),
    stream() {
      const socket = new Socket();
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      return socket;
    },
  });
  // A connection that breaks fails the query that uses it; without listeners it would end the process as well. The
  // pool listens to connections that lie idle, nobody to those in use.
  pool.on('error', () => {});
  pool.on('connect', (client) => void client.on('error', () => {}));
  const clients = new WeakMap<pg.PoolClient, PostgresPoolClient>();
  const waiting = new Set<(error: Error) => void>();
  let away: DatabaseTrouble | null = null;

  let ended: Promise<void> | null = null;

  async function end(): Promise<void> {
    // Where packets vanish, the goodbye would be waited for as well.
    const patience = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, GOODBYE_MS);
    await pool.end();
    clearTimeout(patience);
  }

  function told(error: unknown, statement = ''): unknown {
    const trouble = asTrouble(error, statement, 'away');
    if (trouble instanceof DatabaseTrouble) deps.onTrouble(trouble);
    return trouble;
  }

  function limited(client: pg.PoolClient): PostgresPoolClient {
    let broken = false;
    return {
      async query(statement: string, values: unknown[]) {
        // It is thrown away in a moment; what else went wrong would hide why.
        if (broken && statement === 'rollback') return { command: 'ROLLBACK', rowCount: 0, rows: [] };
        const text = deps.pooled && statement === 'begin' ? LIMITED_BEGIN : statement;
        const asked = performance.now();
        try {
          return await client.query(text, values);
        } catch (error) {
          const trouble = told(error, statement);
          // An answer that comes late would be taken for that to the next question. And where nothing may be written, the
          // database may have moved elsewhere, to which only a new connection leads.
          if (trouble instanceof DatabaseTrouble && ['away', 'read_only'].includes(trouble.kind)) broken = true;
          throw trouble;
        } finally {
          deps.onAnswer(performance.now() - asked);
        }
      },
      release(discard?: boolean) {
        client.release(discard === true || broken);
        broken = false;
      },
    } as unknown as PostgresPoolClient;
  }

  function hold(cause: unknown): void {
    away = new DatabaseTrouble('away', cause);
    deps.onTrouble(away);
    for (const giveUp of waiting) giveUp(away);
    waiting.clear();
  }

  function clientOf(client: pg.PoolClient): PostgresPoolClient {
    const known = clients.get(client) ?? limited(client);
    clients.set(client, known);
    return known;
  }

  return {
    connect() {
      if (away !== null) return Promise.reject(away);
      return new Promise((resolve, reject) => {
        waiting.add(reject);
        pool.connect().then(
          (client) => {
            if (waiting.delete(reject)) resolve(clientOf(client));
            else client.release(true);
          },
          (error: unknown) => {
            if (waiting.delete(reject)) reject(told(error));
          },
        );
      });
    },
    hold,
    cut(cause) {
      hold(cause);
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      away = null;
    },
    connections: () => ({
      busy: pool.totalCount - pool.idleCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
    }),
    end() {
      ended ??= end();
      return ended;
    },
    options: {},
  };
}
