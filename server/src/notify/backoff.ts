import type { Random } from '../platform/random.ts';

const FIRST_MS = 2000;
const LONGEST_MS = 15 * 60_000;
/** No receiver puts a delivery, or all that waits for it, off for longer, milliseconds. */
export const LONGEST_ASKED_MS = 60 * 60_000;

/**
 * How long to wait before the next attempt, milliseconds: twice as long each time, with a part of chance, so that all that
 * failed at the same moment does not come again at the same moment.
 *
 * @param attempts how many have failed
 * @param askedMs what the receiver asks for at least; null: nothing
 */
export function backoffMs(attempts: number, askedMs: number | null, random: Pick<Random, 'int'>): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempts - 1, 20));
  const own = full / 2 + random.int(Math.floor(full / 2) + 1);
  return Math.max(own, Math.min(askedMs ?? 0, LONGEST_ASKED_MS));
}
