import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import BetterSqlite from 'better-sqlite3';
import { cannotOpen } from './where-it-is.ts';

/** How long a server that is about to end is waited for, milliseconds. */
const PATIENCE_MS = 1000;

/**
 * Claims an SQLite file for the one server that may run on it: each has what others would have to hear of in its own
 * memory. The claim is a lock on a file beside it, so that it ends with the process however that ends; who has it stands in
 * there, because commands that work beside the server may use the database.
 *
 * @returns what gives it back
 * @throws when another server has it, and says which
 */
export function claimFile(database: string, now: number): () => void {
  const claim = `${database}-server`;
  let file: BetterSqlite.Database;
  try {
    file = new BetterSqlite(claim, { timeout: PATIENCE_MS });
  } catch (cause) {
    // The folder of both is what is missing most often, and the database is what people know.
    throw cannotOpen(existsSync(dirname(database)) ? claim : database, cause);
  }
  const who = `process ${process.pid} on ${hostname()}, started ${new Date(now).toISOString()}`;
  try {
    file.exec('begin immediate; create table if not exists server (who text); delete from server');
    file.prepare('insert into server values (?)').run(who);
    // What is written can be read by others again, and the lock is held from here on.
    file.exec('commit; begin immediate');
  } catch (cause) {
    // Whoever was there last stands in the file also when it is a disk that refuses.
    const holder = isHeld(cause) ? holderOf(file) : null;
    file.close();
    if (holder === null) throw isNone(cause) ? noClaim(claim, cause) : cannotOpen(claim, cause);
    throw new Error(`another server is running on the database ${database}: ${holder}. Stop it first`, { cause });
  }
  return () => void file.close();
}

const isNone = (cause: unknown): boolean =>
  cause instanceof BetterSqlite.SqliteError && /^SQLITE_(?:NOTADB|CORRUPT)/.test(cause.code);

/** Nothing is kept in it that anybody would miss. */
const noClaim = (claim: string, cause: unknown): Error =>
  new Error(`${claim} is not what a server has written. Remove it: it is made anew`, { cause });

const isHeld = (cause: unknown): boolean =>
  cause instanceof BetterSqlite.SqliteError && /^SQLITE_(?:BUSY|LOCKED)/.test(cause.code);

function holderOf(file: BetterSqlite.Database): string | null {
  try {
    return (file.prepare('select who from server').pluck().get() as string | undefined) ?? null;
  } catch {
    return null;
  }
}
