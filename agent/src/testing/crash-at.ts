import { promises as fs } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

/**
 * Kills this process, as a power failure would, just before it touches the disk for the n-th time. Half of what it was
 * going to write may be there already.
 */
export async function crashBefore(n: number): Promise<void> {
  let count = 0;
  const die = (): boolean => ++count === n && process.kill(process.pid, 'SIGKILL');
  const api = fs as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of ['open', 'mkdir', 'rename', 'symlink', 'chmod', 'rm']) {
    const real = api[name]!;
    api[name] = (...args: unknown[]) => {
      die();
      return real.apply(fs, args);
    };
  }
  const handle: FileHandle = await fs.open('/dev/null', 'r');
  count = 0;
  const prototype = Object.getPrototypeOf(handle) as Record<string, (...args: unknown[]) => unknown>;
  await handle.close();
  for (const name of ['chmod', 'chown', 'sync', 'datasync']) {
    const real = prototype[name]!;
    prototype[name] = function (this: FileHandle, ...args: unknown[]) {
      die();
      return real.apply(this, args);
    };
  }
  const write = prototype.writeFile!;
  prototype.writeFile = async function (this: FileHandle, ...args: unknown[]) {
    if (count + 1 === n) await write.call(this, String(args[0]).slice(0, 20));
    die();
    return write.apply(this, args);
  };
  syncBuiltinESMExports();
}
