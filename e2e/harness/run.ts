import { spawn } from 'node:child_process';

export interface RunResult {
  /** Exit status; 128 + signal when it was killed. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string | Uint8Array;
  env?: Record<string, string>;
  cwd?: string;
  /** Milliseconds after which the process is killed (SIGKILL). */
  timeoutMs?: number;
}

const SIGNALS: Record<string, number> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** Runs a program to its end. Never throws for a non-zero status; see {@link must}. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: 'pipe',
      cwd: options.cwd,
      env: options.env ?? process.env,
      timeout: options.timeoutMs ?? 120_000,
      killSignal: 'SIGKILL',
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({
        code: code ?? 128 + (SIGNALS[signal ?? ''] ?? 0),
        stdout: Buffer.concat(out).toString('utf8'),
        stderr: Buffer.concat(err).toString('utf8'),
      });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/** Runs a program that has to succeed and gives its standard output. @throws with everything it said. */
export async function must(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await run(command, args, options);
  if (result.code !== 0) {
    throw new Error(`${command} ${args.join(' ')}: exit ${result.code}\n${result.stdout}${result.stderr}`);
  }
  return result.stdout;
}

/**
 * Longer than any program here takes to come back by itself: sssd as installed asks again 60 to 90 seconds after a
 * directory did not answer within six.
 */
const PATIENCE_MS = 150_000;

/** What comes of the work. @throws when that takes longer than `timeoutMs`, with what was waited for */
export async function within<T>(what: string, work: Promise<T>, timeoutMs = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${timeoutMs} ms for ${what}`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits until `check` gives something other than null, undefined or false. @throws after `timeoutMs`, and when one look takes
 * longer than any should.
 */
export async function until<T>(
  what: string,
  check: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await within(`a look at ${what}`, Promise.resolve(check()));
    if (value !== null && value !== undefined && value !== false) return value;
    const left = end - Date.now();
    if (left < 0) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    // Less and less often: what takes long on a busy machine must not keep it busy.
    const pause = Math.min(250, 25 + (timeoutMs - left) / 20);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
