import { readFile } from 'node:fs/promises';

/** True when this process has given up its right to become root again by starting sudo: it runs in the sandbox of its unit. */
export async function confined(): Promise<boolean> {
  return /^NoNewPrivs:\s*1$/m.test(await readFile('/proc/self/status', 'latin1').catch(() => 'NoNewPrivs:\t1'));
}
