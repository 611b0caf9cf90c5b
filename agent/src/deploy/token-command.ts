import { execFile } from 'node:child_process';
import { parseEnrolmentToken } from '#shared/enrolment-token.ts';
import { terminalLine } from '#shared/visible-text.ts';

/** A token for the host of this name. `message`: why there is none. */
export type MakeToken = (name: string) => Promise<{ ok: true; token: string } | { ok: false; message: string }>;

const LIMIT_MS = 60_000;

/**
 * Asks a command of the operator for a token, when a host needs one and not before: tokens last an hour, and one that is
 * made is one that can be stolen.
 */
export const tokenFrom =
  (command: string): MakeToken =>
  (name) =>
    new Promise((resolve) => {
      const refuse = (message: string) => resolve({ ok: false, message: `--token-command ${message}` });
      const options = { timeout: LIMIT_MS, maxBuffer: 64 * 1024 };
      const child = execFile('sh', ['-c', `${command} "$1"`, 'sh', name], options, (error, stdout, stderr) => {
        const said = terminalLine(stderr.trim()).slice(0, 500);
        if (error) return refuse(`failed: ${said || error.message.split('\n')[0]}`);
        const token = stdout.trim();
        // It is not shown: what is no token may be another secret.
        if (parseEnrolmentToken(token) === null) return refuse('printed something else than an enrolment token.');
        return resolve({ ok: true, token });
      });
      child.stdin?.end();
    });
