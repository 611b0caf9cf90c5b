import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { isoCBOR } from '@simplewebauthn/server/helpers';
import { createTestAuthenticator } from '#shared/testing/authenticator.ts';
import { coseToJwk } from './cose.ts';

type Cose = Map<number, number | Uint8Array>;
const origin = 'https://identree.test';
const cose = (key: Cose) => coseToJwk(isoCBOR.encode(key));
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'base64url'));

function p256(): Cose {
  const { x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
  return new Map<number, number | Uint8Array>([
    [1, 2],
    [3, -7],
    [-1, 1],
    [-2, bytes(x!)],
    [-3, bytes(y!)],
  ]);
}

function rsa(modulusLength: number, publicExponent = 65537): Cose {
  const { n, e } = generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey.export({ format: 'jwk' });
  return new Map<number, number | Uint8Array>([
    [1, 3],
    [3, -257],
    [-1, bytes(n!)],
    [-2, bytes(e!)],
  ]);
}

for (const [algorithm, kty] of [
  ['ES256', 'EC'],
  ['EdDSA', 'OKP'],
  ['RS256', 'RSA'],
] as const) {
  test(`a key for ${algorithm} becomes a JWK`, () => {
    const jwk = coseToJwk(createTestAuthenticator({ origin, algorithm }).coseKey);
    assert.equal(jwk?.kty, kty);
    assert.ok(Object.values(jwk ?? {}).every((value) => typeof value === 'string'));
  });
}

const REFUSED: [string, () => Cose][] = [
  ['a point that is not on the curve', () => p256().set(-2, new Uint8Array(32).fill(1))],
  ['coordinates that are too short', () => p256().set(-3, new Uint8Array(31))],
  ['coordinates that are too long', () => p256().set(-3, new Uint8Array(33))],
  ['another curve', () => p256().set(-1, 2)],
  ['a curve key with another algorithm', () => p256().set(3, -257)],
  ['ES384', () => p256().set(3, -35)],
  ['RSA with SHA-1', () => rsa(2048).set(3, -65535)],
  ['RSA that is too short', () => rsa(1024)],
  ['RSA with exponent 3', () => rsa(2048, 3)],
  ['RSA without a modulus', () => rsa(2048).set(-1, new Uint8Array(0))],
  ['a key with a member that has no business there', () => p256().set(-4, new Uint8Array(32))],
  [
    'a symmetric key',
    () =>
      new Map<number, number | Uint8Array>([
        [1, 4],
        [3, 5],
        [-1, new Uint8Array(32)],
      ]),
  ],
  ['nothing', () => new Map()],
];
for (const [what, make] of REFUSED) {
  test(`${what} is refused`, () => assert.equal(cose(make()), null));
}

test('bytes that are no CBOR, or no map, are refused', () => {
  assert.equal(coseToJwk(new Uint8Array([0xff, 0x00])), null);
  assert.equal(coseToJwk(new Uint8Array()), null);
  assert.equal(coseToJwk(isoCBOR.encode('text')), null);
});
