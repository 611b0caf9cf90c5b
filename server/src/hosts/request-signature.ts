import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { parseDictionary } from 'structured-headers';
import type { ErrorCode } from '#shared/errors.ts';
import {
  CLOCK_SKEW_SECONDS,
  COVERED_COMPONENTS,
  contentDigest,
  SIGNATURE_LABEL,
  type SignatureParameters,
  signatureBase,
} from '#shared/http-signature.ts';
import type { SignedRequest } from '../http/host-operation.ts';

export type ReadSignature =
  | { ok: true; parameters: SignatureParameters; signature: Buffer }
  | { ok: false; refusal: ErrorCode };

const refuse = (refusal: ErrorCode): { ok: false; refusal: ErrorCode } => ({ ok: false, refusal });

function bytesOf(value: unknown): Buffer | null {
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  return value instanceof Uint8Array ? Buffer.from(value) : null;
}

/** Parses `Signature` and `Signature-Input` (RFC 9421, RFC 8941): one signature, exactly the agreed components. */
export function readSignature(request: SignedRequest): ReadSignature {
  const { signature, signatureInput } = request.headers;
  if (!signature || !signatureInput) return refuse('signature_missing');
  let input: ReturnType<typeof parseDictionary>;
  let signatures: ReturnType<typeof parseDictionary>;
  try {
    input = parseDictionary(signatureInput);
    signatures = parseDictionary(signature);
  } catch {
    return refuse('signature_malformed');
  }
  const member = input.get(SIGNATURE_LABEL);
  const value = signatures.get(SIGNATURE_LABEL);
  if (input.size !== 1 || signatures.size !== 1 || !member || !value) return refuse('signature_malformed');
  const [components, parameters] = member;
  if (!Array.isArray(components)) return refuse('signature_malformed');
  const names = components.map((item) => (Array.isArray(item) ? item[0] : null));
  if (names.length !== COVERED_COMPONENTS.length || names.some((name, i) => name !== COVERED_COMPONENTS[i])) {
    return refuse('signature_components');
  }
  if (components.some((item) => Array.isArray(item) && item[1] instanceof Map && item[1].size > 0)) {
    return refuse('signature_components');
  }
  const created = parameters.get('created');
  const nonce = parameters.get('nonce');
  const keyid = parameters.get('keyid');
  const tag = parameters.get('tag');
  const bytes = bytesOf(value[0]);
  if (
    typeof created !== 'number' ||
    !Number.isSafeInteger(created) ||
    typeof nonce !== 'string' ||
    typeof keyid !== 'string' ||
    typeof tag !== 'string' ||
    parameters.get('alg') !== 'ed25519' ||
    bytes?.length !== 64 ||
    !/^[A-Za-z0-9_-]{22,64}$/.test(nonce)
  ) {
    return refuse('signature_malformed');
  }
  return { ok: true, parameters: { created, nonce, keyid, tag }, signature: bytes };
}

const verifyInThread = promisify(verify);

let checkedInThisTurn = false;

/**
 * The first signature in a turn of the event loop is checked at once: the way to a thread and back takes longer than that.
 * Where several hosts ask at the same moment, the others are checked on another processor, and nobody waits for all of them.
 */
async function isSigned(base: Buffer, key: KeyObject, signature: Buffer): Promise<boolean> {
  if (checkedInThisTurn) return verifyInThread(null, base, key, signature);
  checkedInThisTurn = true;
  setImmediate(() => {
    checkedInThisTurn = false;
  });
  return verify(null, base, key, signature);
}

const MAX_KEYS = 5000;
const keys = new Map<string, KeyObject>();

/** Reading a key costs as much as using it; the text of a key always means the same key. */
function publicKey(x: string): KeyObject {
  let key = keys.get(x);
  if (!key) {
    key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value!);
    keys.set(x, key);
  }
  return key;
}

/**
 * Checks digest, signature and freshness with a known key. The nonce is spent by the caller, in the transaction of what
 * the request does.
 *
 * @param key Ed25519 public key, base64url `x`.
 * @param now milliseconds.
 */
export async function checkSignature(
  request: SignedRequest,
  read: Extract<ReadSignature, { ok: true }>,
  expected: { key: string; tag: string },
  now: number,
): Promise<ErrorCode | null> {
  const digest = contentDigest(request.body);
  if (request.headers.contentDigest !== digest) return 'digest_mismatch';
  if (read.parameters.tag !== expected.tag) return 'wrong_server';
  const base = signatureBase(
    { method: request.method, targetUri: request.targetUri, contentDigest: digest },
    read.parameters,
  );
  if (!(await isSigned(Buffer.from(base), publicKey(expected.key), read.signature))) return 'signature_invalid';
  // Only after the signature: an unsigned date tells nothing about the host's clock.
  return Math.abs(now / 1000 - read.parameters.created) > CLOCK_SKEW_SECONDS ? 'clock_skew' : null;
}
