import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server';

// The JSON forms of WebAuthn Level 3, section 5.1; written out because phones from before 2024 lack the built-in ones.

function toBytes(text: string): ArrayBuffer {
  const binary = atob(text.replace(/-/g, '+').replace(/_/g, '/'));
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes.buffer;
}

function toText(buffer: ArrayBuffer): string {
  let binary = '';
  for (const byte of new Uint8Array(buffer)) binary += String.fromCharCode(byte);
  return btoa(binary).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

function descriptors(list: PublicKeyCredentialRequestOptionsJSON['allowCredentials']): PublicKeyCredentialDescriptor[] {
  return (list ?? []).map((credential) => ({
    id: toBytes(credential.id),
    type: 'public-key',
    ...(credential.transports ? { transports: credential.transports as AuthenticatorTransport[] } : {}),
  }));
}

/** Can this browser use passkeys on this page at all? */
export function canUsePasskeys(): boolean {
  return typeof PublicKeyCredential === 'function' && navigator.credentials !== undefined;
}

/** Asks for an assertion. Rejects with a DOMException as `navigator.credentials.get` does. */
export async function getAssertion(
  options: PublicKeyCredentialRequestOptionsJSON,
): Promise<AuthenticationResponseJSON> {
  const { challenge, allowCredentials, hints: _hints, extensions: _extensions, ...rest } = options;
  const credential = (await navigator.credentials.get({
    publicKey: {
      ...rest,
      challenge: toBytes(challenge),
      allowCredentials: descriptors(allowCredentials),
    } as PublicKeyCredentialRequestOptions,
  })) as PublicKeyCredential;
  const response = credential.response as AuthenticatorAssertionResponse;
  return {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: 'public-key',
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      authenticatorData: toText(response.authenticatorData),
      signature: toText(response.signature),
      ...(response.userHandle ? { userHandle: toText(response.userHandle) } : {}),
    },
    clientExtensionResults: {},
  };
}

/** Makes a passkey. Rejects with a DOMException as `navigator.credentials.create` does. */
export async function createPasskey(
  options: PublicKeyCredentialCreationOptionsJSON,
): Promise<RegistrationResponseJSON> {
  const { challenge, user, excludeCredentials, hints: _hints, extensions: _extensions, ...rest } = options;
  const credential = (await navigator.credentials.create({
    publicKey: {
      ...rest,
      challenge: toBytes(challenge),
      user: { ...user, id: toBytes(user.id) },
      excludeCredentials: descriptors(excludeCredentials),
    } as PublicKeyCredentialCreationOptions,
  })) as PublicKeyCredential;
  const response = credential.response as AuthenticatorAttestationResponse;
  return {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: 'public-key',
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      attestationObject: toText(response.attestationObject),
      transports: response.getTransports?.() as NonNullable<RegistrationResponseJSON['response']['transports']>,
    },
    clientExtensionResults: {},
  };
}
