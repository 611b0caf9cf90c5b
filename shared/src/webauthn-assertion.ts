import { createHash, createPublicKey, type JsonWebKey, verify } from 'node:crypto';
import { z } from 'zod';
import type { AssertionEvidence } from './decision.ts';
import { constantTimeEqual } from './digest.ts';

const clientData = z.object({
  type: z.string(),
  challenge: z.string(),
  origin: z.string(),
  crossOrigin: z.boolean().optional(),
});

export type AssertionProblem =
  | 'malformed'
  | 'wrong_ceremony'
  | 'wrong_challenge'
  | 'wrong_origin'
  | 'wrong_rp'
  | 'user_not_verified'
  | 'unsupported_key'
  | 'bad_signature';

const FLAG_USER_PRESENT = 0x01;
const FLAG_USER_VERIFIED = 0x04;

/**
 * Verifies a WebAuthn assertion (Level 3, section 7.2) without any state: the host and an auditor run this years later
 * with nothing but the evidence and the pinned keys. The signature counter is the server's business, at approval time.
 *
 * @param expected challenge in base64url, exact origins, RP ID, and the credential's public key as JWK.
 */
export function verifyAssertion(
  evidence: Pick<AssertionEvidence, 'authenticatorData' | 'clientDataJSON' | 'signature'>,
  expected: { challenge: string; origins: readonly string[]; rpId: string; jwk: Record<string, string> },
): { ok: true } | { ok: false; problem: AssertionProblem } {
  const clientDataBytes = Buffer.from(evidence.clientDataJSON, 'base64url');
  const authData = Buffer.from(evidence.authenticatorData, 'base64url');
  const signature = Buffer.from(evidence.signature, 'base64url');
  let client: z.infer<typeof clientData>;
  try {
    client = clientData.parse(JSON.parse(clientDataBytes.toString('utf8')));
  } catch {
    return { ok: false, problem: 'malformed' };
  }
  if (authData.length < 37) return { ok: false, problem: 'malformed' };
  if (client.type !== 'webauthn.get' || client.crossOrigin === true) return { ok: false, problem: 'wrong_ceremony' };
  if (!constantTimeEqual(client.challenge, expected.challenge)) return { ok: false, problem: 'wrong_challenge' };
  if (!expected.origins.includes(client.origin)) return { ok: false, problem: 'wrong_origin' };
  const rpIdHash = createHash('sha256').update(expected.rpId).digest();
  if (!authData.subarray(0, 32).equals(rpIdHash)) return { ok: false, problem: 'wrong_rp' };
  const flags = authData[32]!;
  if ((flags & FLAG_USER_PRESENT) === 0 || (flags & FLAG_USER_VERIFIED) === 0) {
    return { ok: false, problem: 'user_not_verified' };
  }
  const signed = Buffer.concat([authData, createHash('sha256').update(clientDataBytes).digest()]);
  let valid: boolean;
  try {
    const key = createPublicKey({ key: expected.jwk as JsonWebKey, format: 'jwk' });
    const isP256 = key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
    const isRsa = key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048;
    const isEd25519 = key.asymmetricKeyType === 'ed25519';
    if (!isP256 && !isRsa && !isEd25519) return { ok: false, problem: 'unsupported_key' };
    valid = verify(isEd25519 ? null : 'sha256', signed, key, signature);
  } catch {
    return { ok: false, problem: 'unsupported_key' };
  }
  return valid ? { ok: true } : { ok: false, problem: 'bad_signature' };
}
