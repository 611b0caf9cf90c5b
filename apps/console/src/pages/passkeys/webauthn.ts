import {
  assertionToJson,
  type CreationOptionsJson,
  type RequestOptionsJson,
  registrationToJson,
  toCreationOptions,
  toRequestOptions,
} from '#shared/webauthn-json.ts';
import { messageOf } from '../../server/api.ts';

/** Asks for an assertion by one of the person's passkeys. */
export async function getAssertion(options: unknown) {
  const publicKey = toRequestOptions(options as RequestOptionsJson) as PublicKeyCredentialRequestOptions;
  const credential = await navigator.credentials.get({ publicKey });
  return assertionToJson(credential as PublicKeyCredential & { response: AuthenticatorAssertionResponse });
}

/** Makes a passkey. */
export async function createPasskey(options: unknown) {
  const publicKey = toCreationOptions(options as CreationOptionsJson) as PublicKeyCredentialCreationOptions;
  const credential = await navigator.credentials.create({ publicKey });
  return registrationToJson(credential as PublicKeyCredential & { response: AuthenticatorAttestationResponse });
}

/** What to tell the person, wherever it failed: on the device, at the server, or on the way. */
export const wordsFor = (error: unknown): string => ceremonyMessage(error) ?? messageOf(error);

/** What to tell the person when the ceremony on the device failed; null when the failure was elsewhere. */
function ceremonyMessage(error: unknown): string | null {
  if (!(error instanceof DOMException)) return null;
  switch (error.name) {
    case 'NotAllowedError':
    case 'AbortError':
      return 'The passkey prompt was closed or took too long. Nothing has changed.';
    case 'InvalidStateError':
      return 'This device already has a passkey of yours.';
    case 'SecurityError':
    case 'NotSupportedError':
      return 'This browser cannot use passkeys here. Try another browser or your phone.';
    default:
      return 'The passkey could not be used. Try again.';
  }
}
