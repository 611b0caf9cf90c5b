import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, sign, verify } from 'node:crypto';
import { calculateJwkThumbprint, decodeProtectedHeader } from 'jose';
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
  delegation: 'identree-delegation+jws',
  offlineGrant: 'identree-offline-grant+jws',
  clientDefaults: 'identree-client-defaults+jws',
  journalHeads: 'identree-journal-heads+jws',
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

const base64url = (text: string) => Buffer.from(text).toString('base64url');

/** Signs a payload as compact JWS, EdDSA (RFC 7515, RFC 8037). */
export async function signToken(type: TokenType, payload: object, key: SigningKey): Promise<string> {
  const header = JSON.stringify({ alg: 'EdDSA', typ: type, kid: key.kid });
  const signed = `${base64url(header)}.${base64url(canonicalJson(payload))}`;
  // At once: for so little, a turn of the thread pool takes longer than the signature.
  return `${signed}.${sign(null, Buffer.from(signed), key.privateKey).toString('base64url')}`;
}

const KEYS_MAX = 64;
const publicKeys = new Map<string, KeyObject>();

/** Reading a key costs as much as using it, and the text of a key always means the same key. @throws for no key */
function publicKeyOf({ kty, crv, x }: PublicJwk): KeyObject {
  const name = `${kty} ${crv} ${x}`;
  let key = publicKeys.get(name);
  if (!key) {
    key = createPublicKey({ key: { kty, crv, x } satisfies JsonWebKey, format: 'jwk' });
    if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('not an Ed25519 key');
    if (publicKeys.size >= KEYS_MAX) publicKeys.delete(publicKeys.keys().next().value!);
    publicKeys.set(name, key);
  }
  return key;
}

/** A part of a compact JWS: base64url without padding and without bits that say nothing, so that a token has one form. */
function bytesOf(part: string): Buffer | null {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : null;
}

export type TokenProblem = 'malformed' | 'wrong_type' | 'unknown_key' | 'bad_signature' | 'bad_payload';

/** What was signed by this key. Null when it was not, or when the header asks for anything else than that. */
function signedPayload(token: string, header: ReturnType<typeof decodeProtectedHeader>, key: PublicJwk): Buffer | null {
  const parts = token.split('.');
  const [protectedHeader = '', body = '', mark = ''] = parts;
  // No extension is known here, so one that must be understood refuses (RFC 7515, 4.1.11).
  if (parts.length !== 3 || header.alg !== 'EdDSA' || header.crit !== undefined) return null;
  const [payload, signature] = [bytesOf(body), bytesOf(mark)];
  if (bytesOf(protectedHeader) === null || payload === null || signature === null) return null;
  try {
    const signed = Buffer.from(`${protectedHeader}.${body}`);
    return verify(null, signed, publicKeyOf(key), signature) ? payload : null;
  } catch {
    return null;
  }
}

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
  const payload = signedPayload(token, header, key);
  if (payload === null) return { ok: false, problem: 'bad_signature' };
  try {
    const parsed = schema.safeParse(JSON.parse(payload.toString('utf8')));
    return parsed.success ? { ok: true, payload: parsed.data } : { ok: false, problem: 'bad_payload' };
  } catch {
    return { ok: false, problem: 'bad_payload' };
  }
}
