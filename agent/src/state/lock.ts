import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../platform/clock.ts';

const LOCK_PATIENCE_MS = 15_000;
const LOCK_LOOK_MS = 10;

/**
 * Runs `work` while no other process of this host is in such a section. The lock is SQLite's on an empty database: a kernel
 * record lock that vanishes with its process, so there is no stale lock file to judge and steal.
 */
export async function withLock<T>(path: string, clock: Clock, work: () => Promise<T>): Promise<T> {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    const deadline = clock.monotonic() + LOCK_PATIENCE_MS;
    for (;;) {
      try {
        database.exec('BEGIN EXCLUSIVE');
        break;
      } catch (error) {
        const busy = (error as { errcode?: number }).errcode === 5;
        if (!busy || clock.monotonic() >= deadline) throw error;
        await clock.sleep(LOCK_LOOK_MS);
      }
    }
    return await work();
  } finally {
    database.close();
  }
}
