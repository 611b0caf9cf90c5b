import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../server/src/testing/free-port.ts';
import { type RunResult, run, until } from '../harness/run.ts';

const ROOT = join(import.meta.dirname, '../..');
const BOOTSTRAP = join(ROOT, 'scripts/bootstrap.mjs');

export const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'identree-evaluation-'));

type Name = 'start' | 'try' | 'reset';

/** What the npm scripts run in the end, without the check for a build before it. */
const PROGRAMS: Record<Name, string> = {
  start: 'server/src/evaluation/main.ts',
  try: 'scripts/try.ts',
  reset: 'scripts/reset.ts',
};
const program = (name: Name): string[] => ['--disable-warning=ExperimentalWarning', join(ROOT, PROGRAMS[name])];

/** An npm script by its name, run to its end. */
export function command(name: Name, args: readonly string[]): Promise<RunResult> {
  return run(process.execPath, [...program(name), ...args], { cwd: ROOT, timeoutMs: 120_000 });
}

/** `npm start` in a folder of its own. */
export interface Evaluation {
  url: string;
  port: number;
  folder: string;
  code: string;
  /** What it printed so far. */
  said(): string;
  /** Ctrl-C, or another signal. @returns the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number>;
  /** Stops it and deletes its folder. */
  remove(): Promise<void>;
}

export async function startEvaluation(
  options: { folder?: string; port?: number; ldapPort?: number; ttl?: string; viaNpm?: boolean; set?: string[] } = {},
): Promise<Evaluation> {
  const folder = options.folder ?? (await newFolder());
  const port = options.port ?? (await freePort());
  const args = ['--port', String(port), '--dir', folder, ...(options.ttl ? ['--ttl', options.ttl] : [])];
  args.push('--ldap-port', String(options.ldapPort ?? 'off'));
  for (const setting of options.set ?? []) args.push('--set', setting);
  const child = spawn(process.execPath, [...(options.viaNpm ? [BOOTSTRAP, 'start'] : program('start')), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { said, exited } = follow(child);
  const stop = async (signal: NodeJS.Signals = 'SIGINT'): Promise<number> => {
    child.kill(signal);
    return exited;
  };
  let ended = false;
  void exited.then(() => {
    ended = true;
  });
  const code = await until(
    'npm start',
    () => {
      if (ended) throw new Error(`npm start ended:\n${said()}`);
      return said().includes('identree is ready:') && /with the code (\S+),[\s\S]*Ctrl-C/.exec(said())?.[1];
    },
    120_000,
  ).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw new Error(`${String(error)}\n${said()}`);
  });
  return {
    url: `http://localhost:${port}`,
    port,
    folder,
    code,
    said,
    stop,
    async remove() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A rehearsal under way. */
export interface Rehearsal {
  link: string;
  said(): string;
  exited: Promise<number>;
  /** Ctrl-C. */
  cancel(): void;
}

/** `npm run try`, without a terminal; resolves once the link is there. */
export async function rehearse(evaluation: Evaluation, ...words: string[]): Promise<Rehearsal> {
  const child = spawn(process.execPath, [...program('try'), '--dir', evaluation.folder, ...words], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { said, exited } = follow(child);
  const link = await until(
    'the link',
    () => /http:\/\/localhost:\d+\/approve\/[A-Z]{6}-\d{6}/.exec(said())?.[0],
    90_000,
  ).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw new Error(`${String(error)}\n${said()}`);
  });
  return { link, said, exited, cancel: () => void child.kill('SIGINT') };
}

function follow(child: ChildProcess): { said: () => string; exited: Promise<number> } {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  const exited = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? -1)));
  return { said: () => text, exited };
}
