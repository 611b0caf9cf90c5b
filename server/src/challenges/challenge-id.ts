import type { Random } from '../platform/random.ts';

/**
 * An identifier for a request: its moment, and 80 random bits. In the order in which they are made, so that each is
 * written behind the one before; at random places every one would cost a page of the table and of each index by id.
 *
 * @param now milliseconds
 */
export const newChallengeId = (random: Random, now: number): string =>
  now.toString(16).padStart(12, '0') + random.bytes(10).toString('hex');
