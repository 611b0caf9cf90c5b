import { watch } from 'node:fs';
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

function dialect(db: BetterSqlite.Database): SqliteDialect {
  const statements = new Map<string, BetterSqlite.Statement>();
  return new SqliteDialect({
    database: {
      prepare(sql: string) {
        // A deferred transaction that reads first may be refused the write lock later (SQLITE_BUSY_SNAPSHOT) when a
        // command-line tool writes at the same time: take the lock at once.
        const text = sql === 'begin' ? 'begin immediate' : sql;
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
    writer: new Kysely<Schema>({ dialect: dialect(writerFile) }),
    reader: new Kysely<Schema>({ dialect: dialect(readerFile) }),
    exclusive(run) {
      const result = tail.then(run);
      tail = result.catch(() => {});
      return result;
    },
    async notify() {},
    onNotify(run) {
      // Command-line tools commit in their own process; the log file changes when they do.
      const watcher = watch(`${path}-wal`, { persistent: false }, run);
      watcher.on('error', () => watcher.close());
      return () => watcher.close();
    },
    async close() {
      await tail;
      readerFile.close();
      writerFile.close();
    },
  };
}
