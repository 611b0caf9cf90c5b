import { constants, type Stats } from 'node:fs';
import { open, rm } from 'node:fs/promises';
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
  /** Replaces it whole; a crash leaves the old or the new text, never half of one. */
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
  return {
    async read() {
      try {
        const file = await open(path, READ);
        try {
          if (!isOwn(await file.stat())) return null;
          const parsed = schema.safeParse(JSON.parse(await file.readFile('utf8')));
          return parsed.success ? parsed.data : null;
        } finally {
          await file.close();
        }
      } catch {
        return null;
      }
    },
    write: (value) => inTurn(() => replaceFile(path, `${JSON.stringify(value)}\n`)),
    remove: () => inTurn(() => rm(path, { force: true })),
  };
}
