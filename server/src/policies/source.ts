import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { z } from 'zod';
import { BUILT_IN_POLICY, type Policy, policyFile, policyOf } from './policy.ts';

export type PolicyState = { ok: true; policy: Policy } | { ok: false; problem: string };

/** Where the policy in force comes from. Asked anew for every decision. */
export interface PolicySource {
  current(): Promise<PolicyState>;
}

/** The policy without a file. */
export const builtInPolicySource: PolicySource = { current: async () => ({ ok: true, policy: BUILT_IN_POLICY }) };

const MAX_BYTES = 4 * 1024 * 1024;

/**
 * A policy file. Read again when it changes; while it is missing, unreadable, invalid or writable by others nothing is
 * decided, because an older policy could be looser than what the operator wrote.
 */
export function createPolicyFile(path: string): PolicySource {
  let seen = '';
  let state: PolicyState = { ok: false, problem: 'not read yet' };

  const identityOf = (info: Stats) =>
    `${info.dev}:${info.ino}:${info.size}:${info.mode}:${info.mtimeMs}:${info.ctimeMs}`;

  function read(): PolicyState {
    // Synchronous on purpose: this runs inside transactions, and a look at one inode is quicker than a turn of the loop.
    let file: number;
    try {
      if (identityOf(lstatSync(path)) === seen) return state;
      file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      seen = '';
      return { ok: false, problem: `${path}: ${(error as NodeJS.ErrnoException).code ?? 'cannot be opened'}` };
    }
    try {
      const info = fstatSync(file);
      seen = identityOf(info);
      if (!info.isFile()) return { ok: false, problem: `${path}: not a regular file` };
      if ((info.mode & 0o022) !== 0) return { ok: false, problem: `${path}: writable by group or others` };
      if (info.size > MAX_BYTES) return { ok: false, problem: `${path}: larger than 4 MiB` };
      const parsed = policyFile.safeParse(JSON.parse(readFileSync(file, 'utf8')));
      return parsed.success
        ? { ok: true, policy: policyOf(parsed.data) }
        : { ok: false, problem: `${path}: ${z.prettifyError(parsed.error)}` };
    } catch (error) {
      return { ok: false, problem: `${path}: ${error instanceof SyntaxError ? 'not valid JSON' : 'cannot be read'}` };
    } finally {
      closeSync(file);
    }
  }

  return {
    async current() {
      state = read();
      return state;
    },
  };
}
