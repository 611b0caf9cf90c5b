import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { type FileTime, parseFileTime, parseResult, type TestResult } from './results.ts';

export interface Run {
  command: string;
  args: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Everything that the program prints goes here. */
  logFile: string;
  limitMs: number;
  onResult: (result: TestResult) => void;
  onFile?: (time: FileTime) => void;
  /** Ends the program early; that is no problem then. */
  enough?: AbortSignal;
}

/** Process groups under way; they are ended when this process is. */
const running = new Set<number>();

/** Ends everything that was started here and still runs. */
export function endAll(signal: NodeJS.Signals): void {
  for (const pid of running) endGroup(pid, signal);
}

// Also when it ends by a fault of its own: what runs beside the stage that failed would go on without it.
process.on('exit', () => endAll('SIGKILL'));

/** Lines end with LF only: readline would also cut at U+2028, which tests for strange text have in their names. */
function onLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}

function endGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Already gone.
  }
}

/**
 * Runs a program that reports results on its standard output. Never throws for what the program does: a crash, a
 * missing program and one that takes too long are told by `problem`.
 */
export function runReporting(run: Run): Promise<{ code: number | null; problem: string | null; tail: string }> {
  return new Promise((resolve) => {
    const log = createWriteStream(run.logFile, { flags: 'a' });
    const child = spawn(run.command, run.args, {
      cwd: run.cwd,
      env: run.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that browsers and servers started by tests end with it.
      detached: true,
    });
    const pid = child.pid ?? 0;
    if (pid > 0) running.add(pid);
    let problem: string | null = null;
    let tail: string[] = [];
    const note = (line: string): void => {
      log.write(`${line}\n`);
      tail = [...tail.slice(-59), line];
    };
    onLines(child.stdout, (line) => {
      const result = parseResult(line);
      if (result) return run.onResult(result);
      const time = parseFileTime(line);
      if (time) run.onFile?.(time);
      else note(line);
    });
    onLines(child.stderr, note);
    const timer = setTimeout(() => {
      problem = `took longer than ${Math.round(run.limitMs / 1000)} s and was ended`;
      endGroup(pid, 'SIGTERM');
      setTimeout(() => endGroup(pid, 'SIGKILL'), 5000).unref();
    }, run.limitMs);
    run.enough?.addEventListener('abort', () => endGroup(pid, 'SIGKILL'));
    child.on('error', (error) => {
      problem = `could not be started: ${error.message}`;
    });
    // What a test left running keeps the pipes open.
    child.on('exit', () => setTimeout(() => endGroup(pid, 'SIGKILL'), 3000).unref());
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(pid);
      if (pid > 0) endGroup(pid, 'SIGKILL');
      if (signal && !problem && !run.enough?.aborted) problem = `was ended by ${signal}`;
      log.end(() => resolve({ code, problem, tail: tail.join('\n') }));
    });
  });
}
