import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseTrouble, type TroubleKind } from './trouble.ts';

/** What an operator can do about it. */
const WAY_OUT: Record<TroubleKind, { sqlite: string; postgres: string }> = {
  away: {
    sqlite: 'Try again.',
    postgres: 'Is it running, and is IDENTREE_DATABASE_DSN right?',
  },
  busy: {
    sqlite: 'Another process holds it: is something copying or editing it?',
    postgres: 'Somebody holds a lock there: pg_stat_activity shows who.',
  },
  full: { sqlite: 'Make room on its disk.', postgres: 'Make room on its disk.' },
  read_only: {
    sqlite: 'The account of the server has to be able to write it, and the folder that it lies in.',
    postgres: 'Is this a standby, or may this user only read?',
  },
  damaged: {
    sqlite: 'Keep the file, and restore a backup into a new one: docs/backup.md.',
    postgres: 'Its log says more. Restore a backup into a new database if need be: docs/backup.md.',
  },
};

/** Where a database is: a file, or a libpq URL. */
interface Place {
  readonly driver: 'sqlite' | 'postgres';
  readonly dsn: string;
}

/** Which database it is, without a password: what is told stands in logs and tickets. */
export function databaseName(options: Place): string {
  if (options.driver === 'sqlite') return options.dsn;
  if (!URL.canParse(options.dsn)) return 'at IDENTREE_DATABASE_DSN';
  const { host, pathname } = new URL(options.dsn);
  return `${pathname.slice(1)} at ${host === '' ? 'IDENTREE_DATABASE_DSN' : host}`;
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Postgres knows the user, the password or the database otherwise (appendix A of its manual, classes 28 and 3D). */
const refusesUs = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && /^(?:28|3D)[0-9A-Z]{3}$/.test(String(error.code));

/** Trouble with the database as an operator has to know of it: with which database, and what can be done. Others stay. */
export function withPlace(error: unknown, options: Place): unknown {
  if (refusesUs(error))
    return new Error(`the database ${databaseName(options)}: ${error.message}. Check IDENTREE_DATABASE_DSN.`, {
      cause: error,
    });
  if (!(error instanceof DatabaseTrouble)) return error;
  const wayOut = WAY_OUT[error.kind][options.driver];
  return new Error(`the database ${databaseName(options)}: ${error.message}. ${wayOut}`, { cause: error });
}

/** Why an SQLite file cannot be opened, in words that name it and a way out. */
export function cannotOpen(path: string, cause: unknown): Error {
  const because = (why: string) => new Error(`the database ${path} cannot be opened: ${why}`);
  const folder = dirname(path);
  if (!existsSync(folder)) {
    return because(
      `there is no folder ${folder}. Make it, as one of the account of the server, or set IDENTREE_DATABASE_DSN`,
    );
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    return because('it is a folder. IDENTREE_DATABASE_DSN names the file');
  }
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code.startsWith('SQLITE_NOTADB')) return because(`it is no SQLite database. ${WAY_OUT.damaged.sqlite}`);
  if (code.startsWith('SQLITE_CORRUPT')) return because(`it is damaged. ${WAY_OUT.damaged.sqlite}`);
  if (code.startsWith('SQLITE_FULL')) return because(`its disk is full. ${WAY_OUT.full.sqlite}`);
  if (/^SQLITE_(?:CANTOPEN|READONLY|PERM|AUTH)/.test(code)) return because(WAY_OUT.read_only.sqlite);
  if (/^SQLITE_(?:BUSY|LOCKED)/.test(code)) return because(WAY_OUT.busy.sqlite);
  return because(textOf(cause));
}
