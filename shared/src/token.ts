import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { CompactSign, calculateJwkThumbprint, compactVerify, decodeProtectedHeader } from 'jose';
import type { z } from 'zod';
import { canonicalJson } from './canonical-json.ts';

/** The purposes of signed tokens. The `typ` header keeps a token of one purpose from passing for another (RFC 8725). */
export const tokenType = {
  verdict: 'identree-verdict+jws',
  approverKeys: 'identree-approver-keys+jws',
  enrolment: 'identree-enrolment+jws',
  certificate: 'identree-certificate+jws',
  directory: 'identree-directory+jws',
  logKey: 'identree-log-key+jws',
  logHead: 'identree-log-head+jws',
  logEpoch: 'identree-log-epoch+jws',
} as const;
export type TokenType = (typeof tokenType)[keyof typeof tokenType];

/** An Ed25519 public key as JWK (RFC 8037) with its RFC 7638 thumbprint as `kid`. */
export interface PublicJwk {
  kty: 'OKP';
  crv: 'Ed25519';
  x: string;
  kid: string;
}

/** A signing key and the key id that verifiers know it by. */
export interface SigningKey {
  kid: string;
  privateKey: KeyObject;
}

/** Public half of an Ed25519 key with its thumbprint as key id. */
export async function publicJwk(key: KeyObject): Promise<PublicJwk> {
  const { x } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  if (!x) throw new TypeError('not an Ed25519 key');
  const bare = { kty: 'OKP', crv: 'Ed25519', x } as const;
  return { ...bare, kid: await calculateJwkThumbprint(bare, 'sha256') };
}

/** Reads an Ed25519 private key in PKCS #8 PEM. @throws when it is anything else. */
export async function signingKeyFromPem(pem: string): Promise<SigningKey> {
  const privateKey = createPrivateKey(pem);
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new TypeError('expected an Ed25519 private key');
  return { kid: (await publicJwk(privateKey)).kid, privateKey };
}

/** Signs a payload as compact JWS, EdDSA (RFC 7515, RFC 8037). */
export async function signToken(type: TokenType, payload: object, key: SigningKey): Promise<string> {
  return new CompactSign(Buffer.from(canonicalJson(payload)))
    .setProtectedHeader({ alg: 'EdDSA', typ: type, kid: key.kid })
    .sign(key.privateKey);
}

export type TokenProblem = 'malformed' | 'wrong_type' | 'unknown_key' | 'bad_signature' | 'bad_payload';

/**
 * Verifies a compact JWS against pinned keys. The algorithm is pinned to EdDSA, `typ` must be the expected one, the
 * key is chosen among `keys` by `kid` only, the payload must match the schema exactly.
 */
export async function verifyToken<T>(
  type: TokenType,
  token: string,
  keys: readonly PublicJwk[],
  schema: z.ZodType<T>,
): Promise<{ ok: true; payload: T } | { ok: false; problem: TokenProblem }> {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(token);
  } catch {
    return { ok: false, problem: 'malformed' };
  }
  if (header.typ !== type) return { ok: false, problem: 'wrong_type' };
  const key = keys.find((candidate) => candidate.kid === header.kid);
  if (!key) return { ok: false, problem: 'unknown_key' };
  let payload: Uint8Array;
  try {
    const publicKey = createPublicKey({ key: key as unknown as JsonWebKey, format: 'jwk' });
    ({ payload } = await compactVerify(token, publicKey, { algorithms: ['EdDSA'] }));
  } catch {
    return { ok: false, problem: 'bad_signature' };
  }
  try {
    const parsed = schema.safeParse(JSON.parse(Buffer.from(payload).toString('utf8')));
    return parsed.success ? { ok: true, payload: parsed.data } : { ok: false, problem: 'bad_payload' };
  } catch {
    return { ok: false, problem: 'bad_payload' };
  }
}
