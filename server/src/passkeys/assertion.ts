import { type AuthenticationResponseJSON, verifyAuthenticationResponse } from '@simplewebauthn/server';
import { z } from 'zod';
import { verifyAssertion } from '#shared/webauthn-assertion.ts';
import type { UnitOfWork } from '../db/database.ts';
import type { PasskeysTable } from '../db/schema.ts';
import { type AssertionResponse, assertionResponse } from './assertion-response.ts';
import type { RelyingParty } from './relying-party.ts';
import { lockPasskey, notePasskeyUse } from './store.ts';

const clientData = z.object({ challenge: z.string().min(1).max(200) });

/** The challenge that a response claims to answer; null when it cannot be read. Only for finding the ceremony. */
export function claimedChallenge(clientDataJSON: string): string | null {
  try {
    return clientData.parse(JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString('utf8'))).challenge;
  } catch {
    return null;
  }
}

export type CheckedAssertion =
  | { ok: true; passkey: PasskeysTable }
  /** `detail` is for the log only. */
  | { ok: false; detail: string };

/**
 * Verifies an assertion by a passkey of this person over this challenge, and notes its use, within the transaction of
 * whatever it allows. Two independent verifiers have to agree: the library, and the one that hosts run.
 */
export async function checkAssertion(
  work: UnitOfWork,
  input: { personId: string; challenge: string; assertion: AssertionResponse; rp: RelyingParty; now: number },
): Promise<CheckedAssertion> {
  const { personId, challenge, rp, now } = input;
  const parsed = assertionResponse.safeParse(input.assertion);
  if (!parsed.success) return { ok: false, detail: 'malformed' };
  const { id, response } = parsed.data;
  const passkey = await lockPasskey(work, id);
  if (!passkey || passkey.person_id !== personId) return { ok: false, detail: 'not a passkey of this person' };
  if (response.userHandle && Buffer.from(response.userHandle, 'base64url').toString('utf8') !== personId) {
    return { ok: false, detail: 'user handle of somebody else' };
  }
  let signCount: number;
  let backedUp: boolean;
  try {
    const verified = await verifyAuthenticationResponse({
      response: { ...parsed.data, clientExtensionResults: {} } as unknown as AuthenticationResponseJSON,
      expectedChallenge: challenge,
      expectedOrigin: rp.origin,
      expectedRPID: rp.id,
      expectedType: 'webauthn.get',
      requireUserVerification: true,
      credential: {
        id: passkey.credential_id,
        publicKey: Uint8Array.from(Buffer.from(passkey.cose_key, 'base64url')),
        counter: passkey.sign_count,
      },
    });
    if (!verified.verified) return { ok: false, detail: 'signature does not match' };
    signCount = verified.authenticationInfo.newCounter;
    backedUp = verified.authenticationInfo.credentialBackedUp;
    // A credential cannot change whether it may be copied (WebAuthn Level 3, 6.1.3).
    if ((verified.authenticationInfo.credentialDeviceType === 'multiDevice') !== (passkey.backup_eligible === 1)) {
      return { ok: false, detail: 'backup eligibility changed' };
    }
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : 'verification failed' };
  }
  // Said again, though the library says it too: a counter that does not grow means that the key was copied.
  if ((signCount > 0 || passkey.sign_count > 0) && signCount <= passkey.sign_count) {
    return { ok: false, detail: 'signature counter did not grow' };
  }
  const jwk = z.record(z.string(), z.string()).parse(JSON.parse(passkey.jwk));
  const host = verifyAssertion(response, { challenge, origins: [rp.origin], rpId: rp.id, jwk });
  if (!host.ok) return { ok: false, detail: `hosts would refuse it: ${host.problem}` };
  await notePasskeyUse(work, passkey.credential_id, { signCount, backedUp, now });
  return { ok: true, passkey };
}
