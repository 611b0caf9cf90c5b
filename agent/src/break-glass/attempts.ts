import { z } from 'zod';
import { timestamp } from '#shared/names.ts';
import type { Clock } from '../platform/clock.ts';
import { atomicWrite } from '../state/atomic-write.ts';
import { withLock } from '../state/lock.ts';
import { readTrustedFile, UntrustedFile } from '../state/trusted-file.ts';

const count = z.strictObject({ failures: z.int().min(1), lastAt: timestamp });
type Count = z.infer<typeof count>;

const stored = z.strictObject({ v: z.literal(1), host: count.nullable(), users: z.record(z.string(), count) });

/** Wrong passwords so far, of each account and of the whole host. */
export type Failures = z.infer<typeof stored>;

export const NO_FAILURES: Failures = { v: 1, host: null, users: {} };

interface Limit {
  /** So many wrong passwords cost nothing. */
  free: number;
  longestMs: number;
}

/** From the third on 1, 2, 4 … 256 seconds. */
export const USER_LIMIT: Limit = { free: 3, longestMs: 256_000 };
/**
 * What several accounts guess together. It grows less far: an attacker who guesses under an account of
 * theirs must not be able to keep all others out for minutes.
 */
export const HOST_LIMIT: Limit = { free: 5, longestMs: 16_000 };

/** Nobody is kept waiting for what was typed a day ago. */
const FORGOTTEN_AFTER_MS = 24 * 3_600_000;

/** More accounts than this are not told apart; the host's own count goes on. */
const MAX_USERS = 1024;

function waitOf(counted: Count | null, { free, longestMs }: Limit, now: number): number {
  if (counted === null || counted.failures < free) return 0;
  const pause = Math.min(longestMs, 1000 * 2 ** Math.min(counted.failures - free, 30));
  // A clock that was set back must not keep anybody out for longer than that.
  return Math.max(0, pause - Math.max(0, now - counted.lastAt));
}

/** Accounts may be named as members of every object are. */
const ofUser = (state: Failures, user: string): Count | null =>
  Object.hasOwn(state.users, user) ? state.users[user]! : null;

/** How long this account has to wait before it may try again, milliseconds. */
export function waitFor(state: Failures, user: string, now: number): number {
  return Math.max(waitOf(ofUser(state, user), USER_LIMIT, now), waitOf(state.host, HOST_LIMIT, now));
}

const fresh = (counted: Count | null, now: number): counted is Count =>
  counted !== null && now - counted.lastAt < FORGOTTEN_AFTER_MS;

const grown = (counted: Count | null, now: number): Count => ({
  failures: (fresh(counted, now) ? counted.failures : 0) + 1,
  lastAt: now,
});

/** One more try, counted as a wrong one until it has proven right. */
export function countTry(state: Failures, user: string, now: number): Failures {
  const others = Object.entries(state.users).filter(([name, counted]) => name !== user && fresh(counted, now));
  const kept = others.sort(([, a], [, b]) => b.lastAt - a.lastAt).slice(0, MAX_USERS - 1);
  const users = Object.fromEntries([...kept, [user, grown(ofUser(state, user), now)]]);
  return { v: 1, host: grown(state.host, now), users };
}

/** The password was right: the person who has it need not be kept from guessing. */
export function countRight(state: Failures, user: string): Failures {
  return { v: 1, host: null, users: Object.fromEntries(Object.entries(state.users).filter(([name]) => name !== user)) };
}

/**
 * Counts tries in a file that outlives processes and reboots. Every method rejects when it cannot be read or written:
 * who cannot be counted is not let in.
 */
export interface Attempts {
  /** How long this account has to wait, milliseconds. Promises nothing: only {@link begin} does. */
  wait(user: string): Promise<number>;
  /**
   * Takes one try before the password is looked at, so that a hundred at once are a hundred tries. Zero: go on and
   * verify. Otherwise so many milliseconds have to pass first, and nothing was taken.
   */
  begin(user: string): Promise<number>;
  right(user: string): Promise<void>;
}

export function createAttempts(deps: { file: string; lock: string; clock: Clock }): Attempts {
  const { file, clock } = deps;

  async function read(): Promise<Failures> {
    const bytes = await readTrustedFile(file, { private: true });
    if (bytes === null) return NO_FAILURES;
    try {
      return stored.parse(JSON.parse(bytes.toString('utf8')));
    } catch {
      throw new UntrustedFile(file, `${file} is damaged. Run as root: rm ${file}`);
    }
  }

  const write = (state: Failures) => atomicWrite(file, `${JSON.stringify(state)}\n`);

  return {
    wait: async (user) => waitFor(await read(), user, clock.now()),
    begin: (user) =>
      withLock(deps.lock, clock, async () => {
        const state = await read();
        const now = clock.now();
        const wait = waitFor(state, user, now);
        if (wait === 0) await write(countTry(state, user, now));
        return wait;
      }),
    right: (user) => withLock(deps.lock, clock, async () => write(countRight(await read(), user))),
  };
}
