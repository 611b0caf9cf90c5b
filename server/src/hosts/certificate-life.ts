import type { Life } from '../certificates/authority.ts';

const DAY_MS = 86_400_000;
/** At most so long before its end, milliseconds. */
export const WARNED_MS = 30 * DAY_MS;

/**
 * Pure rule: whether somebody should look why it was not renewed. 30 days before its end; one that lives shorter than 120
 * days is not due before that, so for it in its last quarter. A host renews its own before either.
 */
export function endsSoon({ from, until }: Life, now: number): boolean {
  return until - now <= Math.min(WARNED_MS, (until - from) / 4);
}
