import { randomBytes, randomInt, randomUUID } from 'node:crypto';

/** Where randomness comes from; tests hand in their own. */
export interface Random {
  bytes(length: number): Buffer;
  /** Uniform integer in [0, limit). */
  int(limit: number): number;
  uuid(): string;
}

export const systemRandom: Random = { bytes: randomBytes, int: (limit) => randomInt(limit), uuid: randomUUID };

/** `length` random bytes as base64url without padding. */
export function randomText(random: Random, length = 32): string {
  return random.bytes(length).toString('base64url');
}
