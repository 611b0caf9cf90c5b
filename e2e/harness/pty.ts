import { spawn } from 'node:child_process';

/** What a person sees on a terminal, and their keyboard. */
export interface Terminal {
  /** Everything shown so far, control sequences included. */
  readonly raw: () => string;
  /** What a person reads: carriage returns, colours and cursor moves removed. */
  readonly text: () => string;
  /** Each piece of output with milliseconds since the start. */
  readonly log: readonly { at: number; text: string }[];
  /** Types keys: `\x03` is Ctrl-C, `\r` is Enter. Resolves once the terminal has them, or has ended. */
  type(keys: string): Promise<void>;
  /** Waits until the text matches. @throws with what was shown when the process ended or time is over. */
  see(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** Closes the window. */
  hangUp(): void;
  /** Exit status, 128 + signal; 129 after {@link hangUp}. */
  readonly exit: Promise<number>;
  /** The exit status, or null while it runs. */
  readonly code: () => number | null;
  /** Process id of the tool outside of the host. */
  readonly pid: number;
  /** Milliseconds on the monotonic clock at the start. */
  readonly startedAt: number;
}

/** Removes what a terminal acts on, so that tests compare words. */
export function readable(raw: string): string {
  return raw
    .replace(/\x1b\[[0-9;?]*[ -/]*[@-~]/g, '')
    .replace(/\x1b[()][A-Z0-9]/g, '')
    .replace(/\x1b[=>78]/g, '')
    .replace(/\r+\n/g, '\n')
    .replace(/\r/g, '');
}

/** Options of `labpty`: it tells on descriptor 3 what the terminal has of what was typed. */
export const TYPED = ['-k', '3'] as const;

/**
 * Starts a process that ends in `labpty` (see ../lab/labpty.c) with {@link TYPED}: its stdin is the keyboard, its
 * stdout the screen.
 */
export function openTerminal(command: string, args: readonly string[], env: Record<string, string> = {}): Terminal {
  const startedAt = performance.now();
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const log: { at: number; text: string }[] = [];
  const decoder = new TextDecoder();
  let raw = '';
  let code: number | null = null;
  const watchers = new Set<() => void>();
  const wake = (): void => {
    for (const watcher of [...watchers]) watcher();
  };
  const show = (chunk: Buffer): void => {
    const text = decoder.decode(chunk, { stream: true });
    raw += text;
    log.push({ at: performance.now() - startedAt, text });
    wake();
  };
  child.stdout.on('data', show);
  child.stderr.on('data', show);
  child.stdin.on('error', () => {});
  let sent = 0;
  let typed = 0;
  child.stdio[3]?.on('data', (chunk: Buffer) => {
    typed += chunk.length;
    wake();
  });
  const exit = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      code = status ?? (signal === 'SIGKILL' ? 137 : 143);
      resolve(code);
      wake();
    });
  });

  return {
    raw: () => raw,
    text: () => readable(raw),
    log,
    type(keys) {
      child.stdin.write(keys);
      sent += Buffer.byteLength(keys);
      const mine = sent;
      return new Promise((resolve) => {
        const look = (): void => {
          if (typed < mine && code === null) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      });
    },
    see: (pattern, timeoutMs = 90_000) =>
      new Promise((resolve, reject) => {
        const finish = (result: RegExpExecArray | null, why: string): void => {
          watchers.delete(look);
          clearTimeout(timer);
          if (result) resolve(result);
          else reject(new Error(`${why} before ${pattern} was shown. The terminal shows:\n${readable(raw)}`));
        };
        const look = (): void => {
          const found = pattern.exec(readable(raw));
          if (found) finish(found, '');
          else if (code !== null) finish(null, `The process ended (${code})`);
        };
        const timer = setTimeout(() => finish(null, `${timeoutMs} ms passed`), timeoutMs);
        watchers.add(look);
        look();
      }),
    hangUp: () => void child.stdin.end(),
    exit,
    code: () => code,
    pid: child.pid ?? 0,
    startedAt,
  };
}
