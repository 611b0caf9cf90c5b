import BetterSqlite from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import type { Engine } from './database.ts';
import type { Schema } from './schema.ts';

function open(path: string, readonly: boolean): BetterSqlite.Database {
  const db = new BetterSqlite(path, { readonly, timeout: 5000 });
  if (!readonly) {
    db.pragma('journal_mode = WAL');
    // An approval that was answered must survive a power cut: every commit waits for the disk.
    db.pragma('synchronous = FULL');
  }
  db.pragma('foreign_keys = ON');
  return db;
}

function dialect(db: BetterSqlite.Database, begin: 'begin' | 'begin immediate'): SqliteDialect {
  const statements = new Map<string, BetterSqlite.Statement>();
  return new SqliteDialect({
    database: {
      prepare(sql: string) {
        const text = sql === 'begin' ? begin : sql;
        let statement = statements.get(text);
        if (!statement) {
          statement = db.prepare(text);
          if (statements.size < 500) statements.set(text, statement);
        }
        return statement as never;
      },
      close: () => void db.close(),
    },
  });
}

/**
 * SQLite: one connection that writes, one that reads and sees only committed rows. The file is created with mode 0600
 * by the caller's umask; WAL needs a local file system.
 */
export function openSqlite(path: string): Engine {
  const writerFile = open(path, false);
  const readerFile = open(path, false);
  readerFile.pragma('query_only = ON');
  let tail: Promise<unknown> = Promise.resolve();
  return {
    driver: 'sqlite',
    // A deferred transaction that reads first may be refused the write lock later (SQLITE_BUSY_SNAPSHOT) when a
    // command-line tool writes at the same time: take the lock at once.
    writer: new Kysely<Schema>({ dialect: dialect(writerFile, 'begin immediate') }),
    reader: new Kysely<Schema>({ dialect: dialect(readerFile, 'begin') }),
    async snapshot(run) {
      const file = open(path, false);
      file.pragma('query_only = ON');
      const kysely = new Kysely<Schema>({ dialect: dialect(file, 'begin') });
      try {
        return await kysely.transaction().execute(run);
      } finally {
        await kysely.destroy();
      }
    },
    exclusive(run) {
      const result = tail.then(run);
      tail = result.catch(() => {});
      return result;
    },
    async notify() {},
    // A command-line tool commits in its own process; readers of the log look for that once a second anyway.
    onNotify: () => () => {},
    async close() {
      await tail;
      readerFile.close();
      writerFile.close();
    },
  };
}
