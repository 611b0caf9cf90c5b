import { z } from 'zod';
import type { Report } from '../problems.ts';
import type { Readable } from '../readable.ts';
import { withDefault } from '../setting.ts';
import { choice, integer, text } from '../values.ts';

/** How many connections to Postgres there are at most, unless the configuration says otherwise. */
export const POSTGRES_CONNECTIONS = 25;

/** Where everything is kept. */
export const databaseSettings = {
  database: z.object({
    driver: withDefault(choice('sqlite', 'postgres'), {
      env: 'IDENTREE_DATABASE_DRIVER',
      toml: 'database.driver',
      section: 'Database',
      description: 'sqlite for one server, postgres for one or several.',
      default: 'sqlite',
    }),
    dsn: withDefault(text(), {
      env: 'IDENTREE_DATABASE_DSN',
      toml: null,
      section: 'Database',
      description: 'Path of the SQLite file, or the postgres:// URL, which has to be given.',
      default: '/var/lib/identree-server/identree.db',
      example: 'postgres://identree@db.example.com/identree',
      secret: true,
      mayRepeat: 'an address that may hold a password, not a secret of its own',
    }),
    pooler: withDefault(choice('none', 'transaction'), {
      env: 'IDENTREE_DATABASE_POOLER',
      toml: 'database.pooler',
      section: 'Database',
      description:
        'transaction: IDENTREE_DATABASE_DSN leads to a pooler that gives a connection for one transaction at a time, such as pgbouncer with pool_mode = transaction. News of other servers then arrive within half a second instead of at once. Set `server_login_retry = 1` in pgbouncer: it tries to reach a database that was away only so many seconds later, 15 unless it is set, and until then the server is refused though the database is back.',
      default: 'none',
    }),
    maxConnections: withDefault(integer(0, 1000), {
      env: 'IDENTREE_DATABASE_MAX_OPEN_CONNS',
      toml: 'database.max_open_conns',
      section: 'Database',
      description: `Most connections to Postgres at once. 0: ${POSTGRES_CONNECTIONS}. SQLite always has one.`,
      default: '0',
    }),
  }),
};

/** Rules over several of these settings. */
export function checkDatabase(values: Readable<typeof databaseSettings>, { errors }: Report): void {
  const { driver, dsn } = values.database ?? {};
  if (driver === 'postgres' && dsn !== undefined && !/^postgres(ql)?:\/\/./.test(dsn)) {
    errors.push({
      setting: 'IDENTREE_DATABASE_DSN',
      problem: 'is no postgres:// URL',
      fix: 'Set it or IDENTREE_DATABASE_DSN_FILE, like postgres://identree@db.example.com/identree.',
    });
  }
  if (driver === 'sqlite' && dsn !== undefined && !dsn.startsWith('/')) {
    errors.push({
      setting: 'IDENTREE_DATABASE_DSN',
      problem: 'is not the absolute path of an SQLite file',
      fix: 'Write the whole path, or set IDENTREE_DATABASE_DRIVER to postgres.',
    });
  }
}
