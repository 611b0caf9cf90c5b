import { randomBytes } from 'node:crypto';

/** Where randomness comes from; tests hand in their own. */
export interface Random {
  bytes(length: number): Buffer;
}

export const systemRandom: Random = { bytes: randomBytes };

/** `length` random bytes as base64url without padding. */
export function randomText(random: Random, length = 32): string {
  return random.bytes(length).toString('base64url');
}
