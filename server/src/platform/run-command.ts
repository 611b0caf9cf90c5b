import { type ChildProcess, spawn } from 'node:child_process';

/** Why a program did not do what it was run for: a sentence about it, with nothing of what it said. */
export class CommandFailure extends Error {}

export interface CommandCall {
  /** The program, by its whole path, and its arguments. No shell reads them. */
  words: readonly string[];
  /** All of its environment. */
  env: Readonly<Record<string, string>>;
  /** What it reads on standard input, to the end. */
  input: string;
  /** Ends it. */
  signal?: AbortSignal;
}

/** Runs it and returns what it printed. @throws CommandFailure when it ends with anything but zero, or not in time */
export type RunCommand = (call: CommandCall) => Promise<string>;

/** Unless it is said. Hosts wait 40 seconds for the answer that follows from it. */
const TIMEOUT_MS = 15_000;
const MAX_OUTPUT = 64 * 1024;

/** Calls back after so many milliseconds, unless what it returns is called first. */
export type Limit = (ms: number, run: () => void) => () => void;

const systemLimit: Limit = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/**
 * In a process group of its own, which ends with it when it takes too long or says too much: what it started must not go
 * on with a secret. Standard error goes nowhere, since it may hold one.
 */
export function createRunCommand(limit: Limit = systemLimit, timeoutMs = TIMEOUT_MS): RunCommand {
  return ({ words, env, input, signal }) =>
    new Promise((resolve, reject) => {
      const [program = '', ...args] = words;
      // Without a file descriptor to spare it has no pipes.
      const child: ChildProcess = spawn(program, args, {
        detached: true,
        cwd: '/',
        env,
        stdio: ['pipe', 'pipe', 'ignore'],
      });
      const chunks: Buffer[] = [];
      let size = 0;
      const fail = (problem: string) => {
        over();
        reject(new CommandFailure(problem));
      };
      // What has left its group may hold its output open for ever, so nothing more is waited for.
      const end = (why: string) => {
        fail(why);
        child.stdout?.destroy();
        if (child.pid === undefined) return;
        try {
          process.kill(-child.pid, 'SIGKILL');
        } catch {
          // All of them have ended by themselves.
        }
      };
      const stop = () => end('it was stopped');
      const over = () => {
        inTime();
        signal?.removeEventListener('abort', stop);
      };
      const inTime = limit(timeoutMs, () => end(`it did not end in ${timeoutMs / 1000} seconds`));
      child.on('error', (error: NodeJS.ErrnoException) => fail(`it could not be started (${error.code ?? 'unknown'})`));
      child.on('close', (code, signal) => {
        if (code !== 0) return fail(`it ended with ${code ?? signal}`);
        over();
        resolve(Buffer.concat(chunks).toString('utf8'));
      });
      child.stdout?.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_OUTPUT) end('it printed too much');
        else chunks.push(chunk);
      });
      if (signal?.aborted) stop();
      else signal?.addEventListener('abort', stop);
      // It need not read what it is given.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });
}
