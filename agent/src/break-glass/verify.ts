import { spawn } from 'node:child_process';
import { isSea } from 'node:sea';
import { EXIT } from '../exit-codes.ts';
import { programPath } from '../platform/program.ts';
import type { Random } from '../platform/random.ts';

/** The command line of this very program, without its operands. */
export const ownProgram = (): readonly string[] => (isSea() ? [programPath()] : [process.execPath, process.argv[1]!]);

const LIMIT_MS = 60_000;

/** What `verify-breakglass` prints for a wrong one. */
export const WRONG_PASSWORD = 'This is not the break-glass password of this host.';

/**
 * Starts `identree verify-breakglass` in a process of its own: bcrypt keeps nobody else waiting, and what it makes of the
 * password in its memory goes when it ends.
 *
 * @param args of `verify-breakglass`: where the settings are.
 */
function createChecker(program: readonly string[], args: readonly string[]) {
  const [command, ...own] = program as [string, ...string[]];
  return (password: Uint8Array): Promise<{ code: number | null; said: string }> =>
    new Promise((resolve) => {
      const child = spawn(command, [...own, 'verify-breakglass', ...args], {
        stdio: ['pipe', 'pipe', 'ignore'],
        cwd: '/',
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
        // Not `timeout`, whose timer goes on when the program could not be started.
        signal: AbortSignal.timeout(LIMIT_MS),
        killSignal: 'SIGKILL',
      });
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => {
        if (said.length < 4096) said += chunk.toString('utf8');
      });
      child.on('error', () => resolve({ code: null, said }));
      child.on('close', (code) => resolve({ code, said }));
      child.stdin.on('error', () => undefined);
      child.stdin.end(password);
    });
}

/** Whether a password opens this host. Anything but a clear yes is a no. */
export function createVerify(program: readonly string[], args: readonly string[]) {
  const check = createChecker(program, args);
  return async (password: Uint8Array): Promise<boolean> => (await check(password)).code === 0;
}

export type Verify = ReturnType<typeof createVerify>;

/** Whether it says no, in its own words, to what cannot be the password. */
export function createDenial(program: readonly string[], args: readonly string[], random: Random) {
  const check = createChecker(program, args);
  return async (): Promise<boolean> => {
    const { code, said } = await check(Buffer.from(Buffer.from(random.bytes(16)).toString('hex')));
    return code === EXIT.failed && said.includes(WRONG_PASSWORD);
  };
}
