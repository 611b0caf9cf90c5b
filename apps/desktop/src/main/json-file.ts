import { constants, type Stats } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import type { z } from 'zod';
import { replaceFile } from './replace-file.ts';

const MAX_BYTES = 64 * 1024;

/** Not through a link, and without waiting for whoever writes into a pipe. Not every system knows these. */
const READ = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** A file that nobody but this user could have written. */
function isOwn(info: Stats): boolean {
  if (!info.isFile() || info.size > MAX_BYTES) return false;
  const user = process.getuid?.();
  return user === undefined || (info.uid === user && (info.mode & 0o022) === 0);
}

/** One small JSON document in the user's data folder, readable by that user alone. */
export interface JsonFile<T> {
  /** Null when there is none, none of this user's own, or none that can be understood: the shell then starts as if it were new. */
  read(): Promise<T | null>;
  /** Where something lies that `read` could not take; null when it was read, or there was nothing. */
  unreadable(): string | null;
  /**
   * Replaces it whole; a crash leaves the old or the new text, never half of one. What could not be read is kept beside it,
   * with `.unreadable` after its name.
   */
  write(value: T): Promise<void>;
  remove(): Promise<void>;
}

export function createJsonFile<T>(path: string, schema: z.ZodType<T>): JsonFile<T> {
  // Writes of one file follow each other, so that the last one called is the one that stays.
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <R>(job: () => Promise<R>): Promise<R> => {
    const next = queue.then(job, job);
    queue = next.catch(() => {});
    return next;
  };
  let isUnreadable = false;

  async function take(): Promise<T> {
    const file = await open(path, READ);
    try {
      if (!isOwn(await file.stat())) throw new Error('not a file of this user alone');
      return schema.parse(JSON.parse(await file.readFile('utf8')));
    } finally {
      await file.close();
    }
  }

  async function replace(text: string): Promise<void> {
    // A person may be able to mend it.
    if (isUnreadable) await rename(path, `${path}.unreadable`);
    isUnreadable = false;
    await replaceFile(path, text);
  }

  return {
    async read() {
      try {
        const value = await take();
        isUnreadable = false;
        return value;
      } catch (error) {
        isUnreadable = (error as NodeJS.ErrnoException).code !== 'ENOENT';
        return null;
      }
    },
    unreadable: () => (isUnreadable ? path : null),
    write: (value) => inTurn(() => replace(`${JSON.stringify(value)}\n`)),
    remove: () => inTurn(() => rm(path, { force: true })),
  };
}
