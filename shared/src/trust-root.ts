import { z } from 'zod';
import { sha256Text, timestamp } from './names.ts';
import { type PublicJwk, type SigningKey, signToken, type TokenProblem, tokenType, verifyToken } from './token.ts';

const publicKey = z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: sha256Text, kid: sha256Text });

/**
 * What the trust root says about the key that stays on the server when the root itself is taken off line: it may answer
 * hosts in the name of the root, and may not say who approves.
 */
const delegation = z.strictObject({ v: z.literal(1), key: publicKey, issuedAt: timestamp });
export type Delegation = z.infer<typeof delegation>;

/**
 * What a delegate may sign: answers that a host waits for, which nobody could carry. Approver-key sets are none of them, or
 * who takes over a server could approve with a key of their own.
 */
export type DelegableType = (typeof tokenType)['enrolment' | 'certificate' | 'directory' | 'logKey' | 'logEpoch'];

/** Stands between what a delegate signed and the word of the root for it; no JWS has it. */
const SEPARATOR = '~';

export const signDelegation = (key: PublicJwk, root: SigningKey, now: number): Promise<string> =>
  signToken(tokenType.delegation, { v: 1, key, issuedAt: now } satisfies Delegation, root);

/** The delegate that the root speaks of. Null when the root did not say so. */
export async function readDelegation(token: string, root: PublicJwk): Promise<Delegation | null> {
  const read = await verifyToken(tokenType.delegation, token, [root], delegation);
  return read.ok ? read.payload : null;
}

/** Signs in the name of the root. @param word what the root said about `key`; null when `key` is the root itself */
export async function signForRoot(
  type: DelegableType,
  payload: object,
  by: { key: SigningKey; word: string | null },
): Promise<string> {
  const token = await signToken(type, payload, by.key);
  return by.word === null ? token : `${token}${SEPARATOR}${by.word}`;
}

/** The JWS alone, without the word of the root for who signed it. */
export const tokenAlone = (token: string): string => token.split(SEPARATOR, 1)[0]!;

/** Verifies what the trust root signed, or a delegate of it. See {@link verifyToken} for the rest. */
export async function verifyForRoot<T>(
  type: DelegableType,
  token: string,
  root: PublicJwk,
  schema: z.ZodType<T>,
): Promise<{ ok: true; payload: T } | { ok: false; problem: TokenProblem }> {
  const [signed = '', word, ...more] = token.split(SEPARATOR);
  if (word === undefined) return verifyToken(type, token, [root], schema);
  if (more.length > 0) return { ok: false, problem: 'malformed' };
  const delegate = await readDelegation(word, root);
  return delegate === null ? { ok: false, problem: 'unknown_key' } : verifyToken(type, signed, [delegate.key], schema);
}
