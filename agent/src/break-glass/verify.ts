import { spawn } from 'node:child_process';
import { isSea } from 'node:sea';

/** The command line of this very program, without its operands. */
export const ownProgram = (): readonly string[] =>
  isSea() ? [process.execPath] : [process.execPath, process.argv[1]!];

const LIMIT_MS = 60_000;

/**
 * Whether a password opens this host. `identree verify-breakglass` answers, in a process of its own: bcrypt keeps nobody
 * else waiting, and what it makes of the password in its memory goes when it ends. Anything but its clear yes is a no.
 *
 * @param args of `verify-breakglass`: where the settings are.
 */
export function createVerify(program: readonly string[], args: readonly string[]) {
  const [command, ...own] = program as [string, ...string[]];
  return (password: Uint8Array): Promise<boolean> =>
    new Promise((resolve) => {
      const child = spawn(command, [...own, 'verify-breakglass', ...args], {
        stdio: ['pipe', 'ignore', 'ignore'],
        cwd: '/',
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
        // Not `timeout`, whose timer goes on when the program could not be started.
        signal: AbortSignal.timeout(LIMIT_MS),
        killSignal: 'SIGKILL',
      });
      child.on('error', () => resolve(false));
      child.on('close', (code) => resolve(code === 0));
      child.stdin.on('error', () => undefined);
      child.stdin.end(password);
    });
}

export type Verify = ReturnType<typeof createVerify>;
