import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
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

  async function read(): Promise<PolicyState> {
    let file: Awaited<ReturnType<typeof open>>;
    try {
      file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      seen = '';
      return { ok: false, problem: `${path}: ${(error as NodeJS.ErrnoException).code ?? 'cannot be opened'}` };
    }
    try {
      const info = await file.stat();
      if (!info.isFile()) return { ok: false, problem: `${path}: not a regular file` };
      if ((info.mode & 0o022) !== 0) return { ok: false, problem: `${path}: writable by group or others` };
      if (info.size > MAX_BYTES) return { ok: false, problem: `${path}: larger than 4 MiB` };
      const identity = `${info.ino}:${info.size}:${info.mtimeMs}:${info.ctimeMs}`;
      if (identity === seen) return state;
      const parsed = policyFile.safeParse(JSON.parse(await file.readFile('utf8')));
      seen = identity;
      return parsed.success
        ? { ok: true, policy: policyOf(parsed.data) }
        : { ok: false, problem: `${path}: ${z.prettifyError(parsed.error)}` };
    } catch (error) {
      return { ok: false, problem: `${path}: ${error instanceof SyntaxError ? 'not valid JSON' : 'cannot be read'}` };
    } finally {
      await file.close();
    }
  }

  return {
    async current() {
      state = await read();
      return state;
    },
  };
}
