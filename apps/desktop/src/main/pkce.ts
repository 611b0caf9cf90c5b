import { createHash } from 'node:crypto';

/** `length` random bytes; handed in by the composition root. */
export type RandomBytes = (length: number) => Buffer;

/** A fresh PKCE pair, RFC 7636, method S256: 43 characters each. */
export function createPkce(random: RandomBytes): { verifier: string; challenge: string } {
  const verifier = random(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}
