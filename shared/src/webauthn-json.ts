// The JSON forms of WebAuthn Level 3, section 5.1. Written out because phones from before 2024 lack
// `parseRequestOptionsFromJSON` and `toJSON`. No DOM types here: what goes in and out is described by shape.

export interface CredentialDescriptorJson {
  id: string;
  type: 'public-key';
  transports?: string[];
}

/** `PublicKeyCredentialRequestOptionsJSON`, as far as this product uses it. */
export interface RequestOptionsJson {
  challenge: string;
  rpId?: string | undefined;
  timeout?: number | undefined;
  userVerification?: string | undefined;
  allowCredentials?: CredentialDescriptorJson[] | undefined;
}

/** `PublicKeyCredentialCreationOptionsJSON`, as far as this product uses it. */
export interface CreationOptionsJson {
  challenge: string;
  rp: { id?: string | undefined; name: string };
  user: { id: string; name: string; displayName: string };
  pubKeyCredParams: { type: 'public-key'; alg: number }[];
  timeout?: number | undefined;
  attestation?: string | undefined;
  authenticatorSelection?: object | undefined;
  excludeCredentials?: CredentialDescriptorJson[] | undefined;
}

/** What `navigator.credentials.get` gives, by shape. */
interface AssertionLike {
  id: string;
  rawId: ArrayBuffer;
  response: {
    clientDataJSON: ArrayBuffer;
    authenticatorData: ArrayBuffer;
    signature: ArrayBuffer;
    userHandle: ArrayBuffer | null;
  };
}

/** What `navigator.credentials.create` gives, by shape. */
interface RegistrationLike {
  id: string;
  rawId: ArrayBuffer;
  response: { clientDataJSON: ArrayBuffer; attestationObject: ArrayBuffer; getTransports?: () => string[] };
}

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

const descriptors = (list: CredentialDescriptorJson[] | undefined) =>
  (list ?? []).map((credential) => ({
    type: credential.type,
    id: toBytes(credential.id),
    ...(credential.transports ? { transports: credential.transports } : {}),
  }));

/** The `publicKey` member for `navigator.credentials.get`. */
export function toRequestOptions({ challenge, rpId, timeout, userVerification, allowCredentials }: RequestOptionsJson) {
  return {
    challenge: toBytes(challenge),
    ...(rpId === undefined ? {} : { rpId }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(userVerification === undefined ? {} : { userVerification }),
    allowCredentials: descriptors(allowCredentials),
  };
}

/** The `publicKey` member for `navigator.credentials.create`. */
export function toCreationOptions(options: CreationOptionsJson) {
  const { challenge, rp, user, pubKeyCredParams, timeout, attestation, authenticatorSelection } = options;
  return {
    challenge: toBytes(challenge),
    rp,
    user: { ...user, id: toBytes(user.id) },
    pubKeyCredParams,
    ...(timeout === undefined ? {} : { timeout }),
    ...(attestation === undefined ? {} : { attestation }),
    ...(authenticatorSelection === undefined ? {} : { authenticatorSelection }),
    excludeCredentials: descriptors(options.excludeCredentials),
  };
}

/** `AuthenticationResponseJSON` of an assertion. */
export function assertionToJson(credential: AssertionLike) {
  const { response } = credential;
  return {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: 'public-key' as const,
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      authenticatorData: toText(response.authenticatorData),
      signature: toText(response.signature),
      ...(response.userHandle ? { userHandle: toText(response.userHandle) } : {}),
    },
    clientExtensionResults: {},
  };
}

/** `RegistrationResponseJSON` of a new passkey. */
export function registrationToJson(credential: RegistrationLike) {
  const { response } = credential;
  return {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: 'public-key' as const,
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      attestationObject: toText(response.attestationObject),
      transports: response.getTransports?.() ?? [],
    },
    clientExtensionResults: {},
  };
}

/**
 * What to call a new passkey until its owner renames it: the kind of device that made it.
 *
 * @param userAgent `navigator.userAgent`
 */
export function suggestPasskeyName(userAgent: string): string {
  const kinds: [RegExp, string][] = [
    [/iPhone/, 'iPhone'],
    [/iPad/, 'iPad'],
    [/Android/, 'Android phone'],
    [/CrOS/, 'Chromebook'],
    [/Macintosh/, 'Mac'],
    [/Windows/, 'Windows computer'],
    [/Linux/, 'Linux computer'],
  ];
  return kinds.find(([pattern]) => pattern.test(userAgent))?.[1] ?? 'Passkey';
}
