import { z } from 'zod';
import { timestamp } from './names.ts';
import { shownText } from './shown-text.ts';

/** One thing that a host looked at on itself, in the words of `identree doctor`. */
const hostCheck = z.strictObject({
  what: shownText(40),
  value: shownText(200),
  /** What is wrong and what to do about it; null: nothing. */
  problem: shownText(400).nullable(),
});
export type HostCheck = z.infer<typeof hostCheck>;

export const MAX_CHECKS = 24;

/** The most that one host says, bytes of JSON: it shares a request with the heartbeat. */
export const MAX_CHECKS_BYTES = 12 * 1024;

/** What the agent of a host found when it looked last. It holds no secrets and decides nothing: people read it. */
export const hostChecks = z.strictObject({
  /** By the clock of the host, milliseconds since the epoch. */
  at: timestamp,
  lines: z.array(hostCheck).max(MAX_CHECKS),
});
export type HostChecks = z.infer<typeof hostChecks>;

/** What to run against a problem, and what it says without that. `fix` is null when it names no command. */
export function fixOf(problem: string): { text: string; fix: string | null } {
  const found = /^(.*?)(?:^|\s)(?:Run|To keep it, log in anew and run):\s+(\S.*)$/s.exec(problem);
  return found ? { text: found[1]!.trim(), fix: found[2]! } : { text: problem, fix: null };
}
