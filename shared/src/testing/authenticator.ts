import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { type ApproverKey, type AssertionEvidence, type DecisionDocument, decisionChallenge } from '../decision.ts';

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

/** What a page hands to `navigator.credentials`: the options of a server as they are, or the few that matter. */
export interface Ceremony {
  /** base64url */
  challenge: string;
  rpId?: string | undefined;
  rp?: { id?: string | undefined };
  user?: { id: string };
  /** Where the page is; without it the one that the authenticator was made for. */
  origin?: string;
}

interface Credential<Response> {
  id: string;
  rawId: string;
  type: 'public-key';
  authenticatorAttachment: 'platform';
  clientExtensionResults: Record<string, never>;
  response: Response;
}

/** What `navigator.credentials.create()` gives, in the JSON form of WebAuthn Level 3. */
export type RegistrationJson = Credential<{
  clientDataJSON: string;
  attestationObject: string;
  transports: 'internal'[];
}>;

/** What `navigator.credentials.get()` gives. */
export type AssertionJson = Credential<{
  clientDataJSON: string;
  authenticatorData: string;
  signature: string;
  userHandle: string | null;
}>;

/** A passkey in software: makes what `navigator.credentials` would give to the page. No attestation. */
export interface TestAuthenticator {
  readonly credentialId: string;
  readonly privateKey: KeyObject;
  /** Public key as JWK. */
  readonly jwk: Record<string, string>;
  /** Public key as COSE. */
  readonly coseKey: Uint8Array;
  /** What the next assertion will say, minus one. Authenticators without a counter stay at 0. */
  signCount: number;
  register(ceremony: Ceremony, deviation?: Deviation): RegistrationJson;
  assert(ceremony: Ceremony, deviation?: Deviation): AssertionJson;
}

export type TestAlgorithm = 'ES256' | 'EdDSA' | 'RS256';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const hash = (data: Uint8Array | string): Buffer => createHash('sha256').update(data).digest();

type Cbor = number | string | Uint8Array | ReadonlyMap<number | string, Cbor>;

/** Just enough CBOR (RFC 8949) for an attestation object: small integers, byte and text strings, maps. */
function cbor(value: Cbor): Buffer {
  const head = (major: number, n: number): Buffer => {
    if (n < 24) return Buffer.from([(major << 5) | n]);
    if (n < 256) return Buffer.from([(major << 5) | 24, n]);
    return Buffer.from([(major << 5) | 25, n >> 8, n & 0xff]);
  };
  if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  return Buffer.concat([head(5, value.size), ...[...value].flatMap(([key, item]) => [cbor(key), cbor(item)])]);
}

/** RFC 9053: key type, algorithm and curve, and the members that hold the key, by their names in a JWK. */
const COSE: Record<TestAlgorithm, { fixed: [number, number][]; members: [number, string][] }> = {
  ES256: {
    fixed: [
      [1, 2],
      [3, -7],
      [-1, 1],
    ],
    members: [
      [-2, 'x'],
      [-3, 'y'],
    ],
  },
  EdDSA: {
    fixed: [
      [1, 1],
      [3, -8],
      [-1, 6],
    ],
    members: [[-2, 'x']],
  },
  RS256: {
    fixed: [
      [1, 3],
      [3, -257],
    ],
    members: [
      [-1, 'n'],
      [-2, 'e'],
    ],
  },
};

interface KeyPair {
  privateKey: KeyObject;
  jwk: Record<string, string>;
  coseKey: Buffer;
}

function keyPair(algorithm: TestAlgorithm): KeyPair {
  const { privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject } =
    algorithm === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : algorithm === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = publicKey.export({ format: 'jwk' }) as Record<string, string>;
  const { fixed, members } = COSE[algorithm];
  const parts = members.map(([label, name]) => [label, Buffer.from(jwk[name]!, 'base64url')] as const);
  return { privateKey, jwk, coseKey: cbor(new Map<number, Cbor>([...fixed, ...parts])) };
}

/**
 * Makes an authenticator with one credential.
 *
 * @param options.origin where the page is that calls it, for example `https://identree.example.com`; a ceremony may say
 *   its own.
 */
export function createTestAuthenticator(
  options: {
    origin?: string;
    algorithm?: TestAlgorithm;
    /** A synced passkey. */
    backupEligible?: boolean;
    /** Counts uses; without it the counter stays 0, as with synced passkeys. */
    counts?: boolean;
  } = {},
): TestAuthenticator {
  const { algorithm = 'ES256', backupEligible = false, counts = true } = options;
  const { privateKey, jwk, coseKey } = keyPair(algorithm);
  const credentialId = text(randomBytes(32));
  let userHandle: string | null = null;
  let signCount = 0;

  const originOf = (ceremony: Ceremony): string => {
    const origin = ceremony.origin ?? options.origin;
    if (origin === undefined) throw new Error('neither the authenticator nor the ceremony says where the page is');
    return origin;
  };

  function clientData(type: string, ceremony: Ceremony, deviation: Deviation): Buffer {
    return Buffer.from(
      JSON.stringify({
        type: deviation.type ?? type,
        challenge: deviation.challenge ?? ceremony.challenge,
        origin: deviation.origin ?? originOf(ceremony),
        crossOrigin: deviation.crossOrigin ?? false,
      }),
    );
  }

  function authenticatorData(ceremony: Ceremony, attested: Uint8Array | null, deviation: Deviation): Buffer {
    const rpId = deviation.rpId ?? ceremony.rpId ?? ceremony.rp?.id ?? new URL(originOf(ceremony)).hostname;
    const eligible = deviation.backupEligible ?? backupEligible;
    const flags =
      ((deviation.userPresent ?? true) ? 0x01 : 0) |
      ((deviation.userVerified ?? true) ? 0x04 : 0) |
      (eligible ? 0x08 : 0) |
      ((deviation.backedUp ?? eligible) ? 0x10 : 0) |
      (attested ? 0x40 : 0);
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(deviation.signCount ?? signCount);
    return Buffer.concat([hash(rpId), Buffer.from([flags]), counter, attested ?? Buffer.alloc(0)]);
  }

  const credential = <Response>(id: string, response: Response): Credential<Response> => ({
    id,
    rawId: id,
    type: 'public-key',
    authenticatorAttachment: 'platform',
    clientExtensionResults: {},
    response,
  });

  return {
    credentialId,
    privateKey,
    jwk,
    coseKey,
    get signCount() {
      return signCount;
    },
    set signCount(value) {
      signCount = value;
    },

    register(ceremony, deviation = {}) {
      userHandle = ceremony.user?.id ?? null;
      const id = Buffer.from(deviation.credentialId ?? credentialId, 'base64url');
      const length = Buffer.alloc(2);
      length.writeUInt16BE(id.length);
      const attested = Buffer.concat([Buffer.alloc(16), length, id, deviation.coseKey ?? coseKey]);
      const attestation = new Map<string, Cbor>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authenticatorData(ceremony, attested, deviation)],
      ]);
      return credential(text(id), {
        clientDataJSON: text(clientData('webauthn.create', ceremony, deviation)),
        attestationObject: text(cbor(attestation)),
        transports: ['internal'],
      });
    },

    assert(ceremony, deviation = {}) {
      if (counts) signCount += 1;
      const client = clientData('webauthn.get', ceremony, deviation);
      const data = authenticatorData(ceremony, null, deviation);
      const signature = sign(algorithm === 'EdDSA' ? null : 'sha256', Buffer.concat([data, hash(client)]), privateKey);
      return credential(deviation.credentialId ?? credentialId, {
        clientDataJSON: text(client),
        authenticatorData: text(data),
        signature: text(signature),
        userHandle: deviation.userHandle === undefined ? userHandle : deviation.userHandle,
      });
    },
  };
}

/** The passkey of a person who approves, and the evidence that hosts check. */
export interface TestPasskey {
  key: ApproverKey;
  assert(document: DecisionDocument, deviation?: Deviation): AssertionEvidence;
}

export function createTestPasskey(
  owner: { issuer: string; subject: string; username: string },
  page: { origin: string; rpId: string },
): TestPasskey {
  const { credentialId, jwk, assert } = createTestAuthenticator();
  return {
    key: { credentialId, ...owner, jwk },
    assert(document, deviation) {
      const { response } = assert({ challenge: decisionChallenge(document), ...page }, deviation);
      const { authenticatorData, clientDataJSON, signature } = response;
      return { document, credentialId, authenticatorData, clientDataJSON, signature };
    },
  };
}
