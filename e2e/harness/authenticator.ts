import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** What `navigator.credentials.create()` gives, in the JSON form of WebAuthn Level 3. */
export interface RegistrationJson {
  id: string;
  rawId: string;
  type: 'public-key';
  authenticatorAttachment: 'platform';
  clientExtensionResults: Record<string, never>;
  response: { clientDataJSON: string; attestationObject: string; transports: string[] };
}

/** What `navigator.credentials.get()` gives. */
export interface AssertionJson {
  id: string;
  rawId: string;
  type: 'public-key';
  authenticatorAttachment: 'platform';
  clientExtensionResults: Record<string, never>;
  response: { clientDataJSON: string; authenticatorData: string; signature: string; userHandle: string | null };
}

export interface Ceremony {
  /** base64url, as the server's options give it. */
  challenge: string;
  rpId: string;
  origin: string;
}

/** A security key in software: one P-256 credential, user present and verified, no attestation. */
export interface Authenticator {
  readonly credentialId: string;
  readonly privateKey: KeyObject;
  /** Public key as JWK. */
  readonly jwk: { kty: string; crv: string; x: string; y: string };
  register(ceremony: Ceremony): RegistrationJson;
  assert(ceremony: Ceremony, options?: { userVerified?: boolean; crossOrigin?: boolean }): AssertionJson;
}

/** Just enough CBOR (RFC 8949) for an attestation object: small integers, byte and text strings, maps. */
function cbor(value: number | string | Uint8Array | ReadonlyMap<number | string, unknown>): Buffer {
  const head = (major: number, n: number): Buffer => {
    if (n < 24) return Buffer.from([(major << 5) | n]);
    if (n < 256) return Buffer.from([(major << 5) | 24, n]);
    return Buffer.from([(major << 5) | 25, n >> 8, n & 0xff]);
  };
  if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  const parts = [...value].flatMap(([key, item]) => [cbor(key), cbor(item as never)]);
  return Buffer.concat([head(5, value.size), ...parts]);
}

const sha256 = (data: string | Uint8Array): Buffer => createHash('sha256').update(data).digest();

export function createAuthenticator(): Authenticator {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const id = randomBytes(32);
  const credentialId = id.toString('base64url');
  let counter = 0;

  const clientData = (type: string, { challenge, origin }: Ceremony, crossOrigin = false): Buffer =>
    Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin }));

  const authenticatorData = (rpId: string, flags: number, attested: Uint8Array = Buffer.alloc(0)): Buffer => {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(++counter);
    return Buffer.concat([sha256(rpId), Buffer.from([flags]), count, attested]);
  };

  const common = {
    id: credentialId,
    rawId: credentialId,
    type: 'public-key',
    authenticatorAttachment: 'platform',
    clientExtensionResults: {},
  } as const;

  return {
    credentialId,
    privateKey,
    jwk: { kty: 'EC', crv: 'P-256', x, y },
    register(ceremony) {
      const coseKey = cbor(
        new Map<number, number | Uint8Array>([
          [1, 2],
          [3, -7],
          [-1, 1],
          [-2, Buffer.from(x, 'base64url')],
          [-3, Buffer.from(y, 'base64url')],
        ]),
      );
      const length = Buffer.from([0, id.length]);
      const attested = Buffer.concat([Buffer.alloc(16), length, id, coseKey]);
      const attestationObject = cbor(
        new Map<string, unknown>([
          ['fmt', 'none'],
          ['attStmt', new Map()],
          ['authData', authenticatorData(ceremony.rpId, 0x45, attested)],
        ]),
      );
      return {
        ...common,
        response: {
          clientDataJSON: clientData('webauthn.create', ceremony).toString('base64url'),
          attestationObject: attestationObject.toString('base64url'),
          transports: ['internal'],
        },
      };
    },
    assert(ceremony, options = {}) {
      const data = authenticatorData(ceremony.rpId, options.userVerified === false ? 0x01 : 0x05);
      const client = clientData('webauthn.get', ceremony, options.crossOrigin);
      return {
        ...common,
        response: {
          clientDataJSON: client.toString('base64url'),
          authenticatorData: data.toString('base64url'),
          signature: sign('sha256', Buffer.concat([data, sha256(client)]), privateKey).toString('base64url'),
          userHandle: null,
        },
      };
    },
  };
}
