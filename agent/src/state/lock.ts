import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../platform/clock.ts';

const LOCK_PATIENCE_MS = 15_000;
const LOCK_LOOK_MS = 10;

/** Runs `work` while nobody else on this host, nor in this process, is in such a section. */
export type Lock = <T>(work: () => Promise<T>) => Promise<T>;

const patience = (clock: Clock): number => clock.monotonic() + LOCK_PATIENCE_MS;

interface Opened {
  database: DatabaseSync;
  /** Which file it is, whatever has its name by now. */
  file: string;
  leavesNoFiles: boolean;
}

function fileAt(path: string): string | null {
  const info = statSync(path, { bigint: true, throwIfNoEntry: false });
  return info === undefined ? null : `${info.dev}:${info.ino}`;
}

function open(path: string): Opened {
  for (;;) {
    const file = fileAt(path);
    const database = new DatabaseSync(path, { timeout: 0 });
    if (file !== null && file === fileAt(path)) return { database, file, leavesNoFiles: false };
    database.close();
  }
}

async function begin(opened: Opened, clock: Clock, deadline: number): Promise<void> {
  const { database } = opened;
  for (;;) {
    try {
      // Nothing is ever written. SQLite would make a file beside it each time, to be able to take back what was.
      if (!opened.leavesNoFiles) database.exec('PRAGMA journal_mode = MEMORY');
      opened.leavesNoFiles = true;
      database.exec('BEGIN EXCLUSIVE');
      return;
    } catch (error) {
      const busy = (error as { errcode?: number }).errcode === 5;
      if (!busy || clock.monotonic() >= deadline) throw error;
      await clock.sleep(LOCK_LOOK_MS);
    }
  }
}

/**
 * Takes the lock of the file that has this name now; what was put in the place of the one that is open is another lock.
 *
 * @param deadline until when it is waited for, on the monotonic clock; it is tried once in any case
 */
async function take(path: string, clock: Clock, kept: Opened | null, deadline: number): Promise<Opened> {
  let opened = kept ?? open(path);
  for (;;) {
    try {
      await begin(opened, clock, deadline);
    } catch (error) {
      opened.database.close();
      throw error;
    }
    if (fileAt(path) === opened.file) return opened;
    opened.database.close();
    opened = open(path);
  }
}

/**
 * Runs `work` while no other process of this host is in such a section. The lock is SQLite's on an empty database: a kernel
 * record lock that vanishes with its process, so there is no stale lock file to judge and steal.
 */
export async function withLock<T>(path: string, clock: Clock, work: () => Promise<T>): Promise<T> {
  const { database } = await take(path, clock, null, patience(clock));
  try {
    return await work();
  } finally {
    database.close();
  }
}

/** The same for who takes it again and again: the file stays open in between, and those of this process take turns. */
export function createLock(path: string, clock: Clock): Lock {
  let kept: Opened | null = null;
  let queue: Promise<unknown> = Promise.resolve();

  function release(opened: Opened): void {
    try {
      opened.database.exec('ROLLBACK');
      kept = opened;
    } catch {
      opened.database.close();
    }
  }

  async function locked<T>(work: () => Promise<T>, deadline: number): Promise<T> {
    const before = kept;
    kept = null;
    const opened = await take(path, clock, before, deadline);
    try {
      return await work();
    } finally {
      release(opened);
    }
  }

  return (work) => {
    // Where somebody else never lets go of it, who comes last hears of that as soon as who comes first.
    const deadline = patience(clock);
    const turn = queue.then(() => locked(work, deadline));
    queue = turn.catch(() => undefined);
    return turn;
  };
}
