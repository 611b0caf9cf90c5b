import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';
import { isoCBOR } from '@simplewebauthn/server/helpers';
import type { AssertionResponse } from './assertion-response.ts';
import type { RegistrationResponse } from './registration.ts';

/** What a hostile page, browser or authenticator does differently. */
export interface Deviation {
  origin?: string;
  rpId?: string;
  type?: string;
  challenge?: string;
  crossOrigin?: boolean;
  userPresent?: boolean;
  userVerified?: boolean;
  signCount?: number;
  backupEligible?: boolean;
  backedUp?: boolean;
  /** Null: the authenticator names no user. */
  userHandle?: string | null;
  credentialId?: string;
  /** Replaces the public key in the attested credential data. */
  coseKey?: Uint8Array;
}

/** A passkey in software, for tests: makes what `navigator.credentials` would give to the page. */
export interface TestAuthenticator {
  readonly credentialId: string;
  /** Public key as COSE. */
  readonly coseKey: Uint8Array;
  /** What the next assertion will say, minus one. Authenticators without a counter stay at 0. */
  signCount: number;
  register(options: PublicKeyCredentialCreationOptionsJSON, deviation?: Deviation): RegistrationResponse;
  assert(options: PublicKeyCredentialRequestOptionsJSON, deviation?: Deviation): AssertionResponse;
}

export type TestAlgorithm = 'ES256' | 'EdDSA' | 'RS256';

const text = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64url');
const hash = (data: Uint8Array | string): Buffer => createHash('sha256').update(data).digest();

function keyPair(algorithm: TestAlgorithm): { privateKey: KeyObject; cose: Map<number, number | Uint8Array> } {
  const bytes = (value: string | undefined) => Uint8Array.from(Buffer.from(value ?? '', 'base64url'));
  if (algorithm === 'ES256') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { x, y } = publicKey.export({ format: 'jwk' });
    return {
      privateKey,
      cose: new Map<number, number | Uint8Array>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, bytes(x)],
        [-3, bytes(y)],
      ]),
    };
  }
  if (algorithm === 'EdDSA') {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const { x } = publicKey.export({ format: 'jwk' });
    return {
      privateKey,
      cose: new Map<number, number | Uint8Array>([
        [1, 1],
        [3, -8],
        [-1, 6],
        [-2, bytes(x)],
      ]),
    };
  }
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { n, e } = publicKey.export({ format: 'jwk' });
  return {
    privateKey,
    cose: new Map<number, number | Uint8Array>([
      [1, 3],
      [3, -257],
      [-1, bytes(n)],
      [-2, bytes(e)],
    ]),
  };
}

/**
 * Makes an authenticator with one credential.
 *
 * @param options.origin where the page is that calls it, for example `https://identree.example.com`.
 */
export function createTestAuthenticator(options: {
  origin: string;
  algorithm?: TestAlgorithm;
  /** A synced passkey. */
  backupEligible?: boolean;
  /** Counts uses; without it the counter stays 0, as with synced passkeys. */
  counts?: boolean;
}): TestAuthenticator {
  const { origin, algorithm = 'ES256', backupEligible = false, counts = true } = options;
  const { privateKey, cose } = keyPair(algorithm);
  const coseKey = isoCBOR.encode(cose);
  const credentialId = text(randomBytes(32));
  let userHandle: string | undefined;
  let signCount = 0;

  function clientData(type: string, challenge: string, deviation: Deviation): Buffer {
    return Buffer.from(
      JSON.stringify({
        type: deviation.type ?? type,
        challenge: deviation.challenge ?? challenge,
        origin: deviation.origin ?? origin,
        crossOrigin: deviation.crossOrigin ?? false,
      }),
    );
  }

  function authenticatorData(rpId: string, attested: Uint8Array | null, deviation: Deviation): Buffer {
    const eligible = deviation.backupEligible ?? backupEligible;
    const flags =
      ((deviation.userPresent ?? true) ? 0x01 : 0) |
      ((deviation.userVerified ?? true) ? 0x04 : 0) |
      (eligible ? 0x08 : 0) |
      ((deviation.backedUp ?? eligible) ? 0x10 : 0) |
      (attested ? 0x40 : 0);
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(deviation.signCount ?? signCount);
    return Buffer.concat([hash(deviation.rpId ?? rpId), Buffer.from([flags]), counter, attested ?? Buffer.alloc(0)]);
  }

  return {
    credentialId,
    coseKey,
    get signCount() {
      return signCount;
    },
    set signCount(value) {
      signCount = value;
    },

    register(creation, deviation = {}) {
      userHandle = creation.user.id;
      const id = Buffer.from(deviation.credentialId ?? credentialId, 'base64url');
      const length = Buffer.alloc(2);
      length.writeUInt16BE(id.length);
      const attested = Buffer.concat([Buffer.alloc(16), length, id, deviation.coseKey ?? coseKey]);
      const authData = authenticatorData(creation.rp.id ?? new URL(origin).hostname, attested, deviation);
      const attestation = new Map<string, unknown>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', Uint8Array.from(authData)],
      ]);
      return {
        id: text(id),
        rawId: text(id),
        type: 'public-key',
        response: {
          clientDataJSON: text(clientData('webauthn.create', creation.challenge, deviation)),
          attestationObject: text(isoCBOR.encode(attestation as Parameters<typeof isoCBOR.encode>[0])),
          transports: ['internal'],
        },
      };
    },

    assert(request, deviation = {}) {
      if (counts) signCount += 1;
      const client = clientData('webauthn.get', request.challenge, deviation);
      const authData = authenticatorData(request.rpId ?? new URL(origin).hostname, null, deviation);
      const signature = sign(
        algorithm === 'EdDSA' ? null : 'sha256',
        Buffer.concat([authData, hash(client)]),
        privateKey,
      );
      const id = deviation.credentialId ?? credentialId;
      return {
        id,
        rawId: id,
        type: 'public-key',
        response: {
          clientDataJSON: text(client),
          authenticatorData: text(authData),
          signature: text(signature),
          userHandle: deviation.userHandle === undefined ? (userHandle ?? null) : deviation.userHandle,
        },
      };
    },
  };
}
