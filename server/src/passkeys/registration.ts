import { type RegistrationResponseJSON, verifyRegistrationResponse } from '@simplewebauthn/server';
import { z } from 'zod';
import { Refusal } from '#shared/errors.ts';
import { base64url } from '#shared/names.ts';
import type { PasskeysTable } from '../db/schema.ts';
import { ALGORITHMS, coseToJwk } from './cose.ts';
import { readTransports } from './passkey.ts';
import type { RelyingParty } from './relying-party.ts';

/** `RegistrationResponseJSON` of WebAuthn Level 3 as browsers give it; what is not needed is dropped. */
export const registrationResponse = z.object({
  id: base64url.min(1).max(1400),
  rawId: base64url.min(1).max(1400),
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: base64url.max(4096),
    attestationObject: base64url.max(24_000),
    transports: z.unknown().optional(),
  }),
});
export type RegistrationResponse = z.infer<typeof registrationResponse>;

/** What is known of a credential that was just made; owner, name and time are the caller's. */
export type NewCredential = Omit<PasskeysTable, 'person_id' | 'name' | 'created_at' | 'last_used_at'>;

/** Verifies a registration (WebAuthn Level 3, 7.1) over this challenge. @throws Refusal `passkey_rejected` */
export async function verifyRegistration(
  response: RegistrationResponse,
  challenge: string,
  rp: RelyingParty,
): Promise<NewCredential> {
  const transports = readTransports(response.response.transports);
  let verified: Awaited<ReturnType<typeof verifyRegistrationResponse>>;
  try {
    verified = await verifyRegistrationResponse({
      response: {
        ...response,
        response: { ...response.response, transports },
        clientExtensionResults: {},
      } as unknown as RegistrationResponseJSON,
      expectedChallenge: challenge,
      expectedOrigin: rp.origin,
      expectedRPID: rp.id,
      expectedType: 'webauthn.create',
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    });
  } catch (error) {
    throw new Refusal('passkey_rejected', error instanceof Error ? error.message : 'verification failed');
  }
  if (!verified.verified) throw new Refusal('passkey_rejected', 'attestation does not verify');
  const { credential, credentialDeviceType, credentialBackedUp } = verified.registrationInfo;
  const jwk = coseToJwk(credential.publicKey);
  if (jwk === null) throw new Refusal('passkey_rejected', 'unsupported public key');
  return {
    credential_id: credential.id,
    jwk: JSON.stringify(jwk),
    cose_key: Buffer.from(credential.publicKey).toString('base64url'),
    sign_count: credential.counter,
    transports: JSON.stringify(transports),
    backup_eligible: credentialDeviceType === 'multiDevice' ? 1 : 0,
    backed_up: credentialBackedUp ? 1 : 0,
  };
}
