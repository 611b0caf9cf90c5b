import { spawn } from 'node:child_process';

/** Runs programs of the host; tests hand in their own. */
export type Run = (program: string, args: readonly string[]) => Promise<{ code: number; output: string }>;

const LIMIT_MS = 60_000;

/** @returns code 127 when there is no such program. */
export const systemRun: Run = (program, args) =>
  new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: '/',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
      timeout: LIMIT_MS,
    });
    let output = '';
    const collect = (chunk: Buffer) => {
      if (output.length < 64 * 1024) output += chunk.toString('utf8');
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ code: error.code === 'ENOENT' ? 127 : 126, output: error.message }),
    );
    child.on('close', (code) => resolve({ code: code ?? 125, output: output.trim() }));
  });
