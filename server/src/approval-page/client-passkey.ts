import {
  assertionToJson,
  type CreationOptionsJson,
  type RequestOptionsJson,
  registrationToJson,
  toCreationOptions,
  toRequestOptions,
} from '#shared/webauthn-json.ts';

/** Can this browser use passkeys on this page at all? */
export function canUsePasskeys(): boolean {
  return typeof PublicKeyCredential === 'function' && navigator.credentials !== undefined;
}

/** Asks for an assertion. Rejects with a DOMException as `navigator.credentials.get` does. */
export async function getAssertion(options: RequestOptionsJson) {
  const publicKey = toRequestOptions(options) as PublicKeyCredentialRequestOptions;
  const credential = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential & {
    response: AuthenticatorAssertionResponse;
  };
  return assertionToJson(credential);
}

/** Makes a passkey. Rejects with a DOMException as `navigator.credentials.create` does. */
export async function createPasskey(options: CreationOptionsJson) {
  const publicKey = toCreationOptions(options) as PublicKeyCredentialCreationOptions;
  const credential = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential & {
    response: AuthenticatorAttestationResponse;
  };
  return registrationToJson(credential);
}
