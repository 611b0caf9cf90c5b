import { promises as fs } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

/**
 * Has this process look in before it touches the disk each time. What looks in may end everything there, or wait for ever;
 * half of what was going to be written is there by then where it says so.
 *
 * @param look.half whether the disk is about to be touched for the last time.
 * @param look.flushes false: nothing waits for the disk. What was written is there for everybody on this machine.
 */
async function beforeEachTouch(look: { half(): boolean; touch(): Promise<void>; flushes: boolean }): Promise<void> {
  const api = fs as unknown as Record<string, (...args: unknown[]) => unknown>;
  const handle: FileHandle = await fs.open('/dev/null', 'r');
  for (const name of ['open', 'mkdir', 'rename', 'symlink', 'chmod', 'rm']) {
    const real = api[name]!;
    api[name] = async (...args: unknown[]) => {
      await look.touch();
      return real.apply(fs, args);
    };
  }
  const prototype = Object.getPrototypeOf(handle) as Record<string, (...args: unknown[]) => unknown>;
  await handle.close();
  for (const name of ['chmod', 'chown', 'sync', 'datasync']) {
    const real = prototype[name]!;
    prototype[name] = async function (this: FileHandle, ...args: unknown[]) {
      await look.touch();
      return !look.flushes && name.endsWith('sync') ? undefined : real.apply(this, args);
    };
  }
  const write = prototype.writeFile!;
  prototype.writeFile = async function (this: FileHandle, ...args: unknown[]) {
    if (look.half()) await write.call(this, String(args[0]).slice(0, 20));
    await look.touch();
    return write.apply(this, args);
  };
  syncBuiltinESMExports();
}

/**
 * Kills this process, as a power failure would, just before it touches the disk for the n-th time. Half of what it was
 * going to write may be there already.
 */
export async function crashBefore(n: number): Promise<void> {
  let count = 0;
  await beforeEachTouch({
    flushes: true,
    half: () => count + 1 === n,
    touch: async () => {
      count += 1;
      if (count === n) process.kill(process.pid, 'SIGKILL');
    },
  });
}

/**
 * The same within one process, so that each step can be tried without starting another: work that does one thing after
 * the other stops for ever just before it touches the disk for the n-th time.
 */
export async function openStops() {
  let count = 0;
  let at = 0;
  let stopped: (() => void) | null = null;
  await beforeEachTouch({
    flushes: false,
    half: () => stopped !== null && count + 1 === at,
    touch: async () => {
      if (stopped === null) return;
      count += 1;
      if (count < at) return;
      stopped();
      await new Promise(() => undefined);
    },
  });
  /** Runs work up to there. @returns false when it came to its end before. */
  return async (n: number, work: () => Promise<unknown>): Promise<boolean> => {
    [count, at] = [0, n];
    const stop = new Promise<boolean>((resolve) => {
      stopped = () => resolve(true);
    });
    try {
      return await Promise.race([stop, work().then(() => false)]);
    } finally {
      stopped = null;
    }
  };
}
