import { execFile } from 'node:child_process';
import { join } from 'node:path';

export const MAIN = join(import.meta.dirname, '..', 'main.ts');

/**
 * Starting a process costs most of the time of these tests; Node keeps what it compiled here. It runs what it finds there,
 * so it is a folder of whoever has the source.
 */
const CACHE = {
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(import.meta.dirname, '../../../.cache/compiled'),
};

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `identree` from source, with nothing of our environment but PATH. */
export function identree(
  args: readonly string[],
  options: { input?: string; cwd?: string; env?: Record<string, string> } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { PATH: process.env.PATH ?? '', ...CACHE, ...options.env };
    const settings = { timeout: 180_000, env, ...(options.cwd ? { cwd: options.cwd } : {}) };
    const child = execFile(process.execPath, [MAIN, ...args], settings, (error, stdout, stderr) => {
      resolve({ code: error ? ((error.code as unknown as number | null) ?? null) : 0, stdout, stderr });
    });
    child.stdin?.end(options.input ?? '');
  });
}
