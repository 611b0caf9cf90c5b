import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { z } from 'zod';
import { formatEnrolmentToken, parseEnrolmentToken } from './enrolment-token.ts';
import { normaliseHostName, parseUserCode } from './names.ts';
import {
  type PublicJwk,
  publicJwk,
  type SigningKey,
  signingKeyFromPem,
  signToken,
  tokenType,
  verifyToken,
} from './token.ts';

const schema = z.strictObject({ a: z.int() });
let key: SigningKey;
let jwk: PublicJwk;
before(async () => {
  const pair = generateKeyPairSync('ed25519');
  jwk = await publicJwk(pair.publicKey);
  key = { kid: jwk.kid, privateKey: pair.privateKey };
});

/** A compact JWS with any header and signature. */
const forge = (header: object, payload: object, signature: (input: string) => Buffer) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${signature(input).toString('base64url')}`;
};

describe('signed tokens', () => {
  it('the thumbprint is that of RFC 8037, appendix A.3', async () => {
    const { kid } = await publicJwk(
      createPublicKey({
        key: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
        format: 'jwk',
      }),
    );
    assert.equal(kid, 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  });

  it('what was signed is read back', async () => {
    const token = await signToken(tokenType.verdict, { a: 1 }, key);
    assert.deepEqual(await verifyToken(tokenType.verdict, token, [jwk], schema), { ok: true, payload: { a: 1 } });
  });

  const refused: Record<string, [() => Promise<string> | string, string]> = {
    'of another purpose': [() => signToken(tokenType.enrolment, { a: 1 }, key), 'wrong_type'],
    'without a purpose': [
      () => forge({ alg: 'EdDSA', kid: jwk.kid }, { a: 1 }, (input) => sign(null, Buffer.from(input), key.privateKey)),
      'wrong_type',
    ],
    'by an unknown key': [async () => signToken(tokenType.verdict, { a: 1 }, { ...key, kid: 'other' }), 'unknown_key'],
    'with alg none': [
      () => forge({ alg: 'none', typ: tokenType.verdict, kid: jwk.kid }, { a: 1 }, () => Buffer.alloc(0)),
      'bad_signature',
    ],
    'with the public key as an HMAC secret': [
      () =>
        forge({ alg: 'HS256', typ: tokenType.verdict, kid: jwk.kid }, { a: 1 }, (input) =>
          createHmac('sha256', Buffer.from(jwk.x, 'base64url')).update(input).digest(),
        ),
      'bad_signature',
    ],
    'with a critical extension that nobody knows': [
      () =>
        forge({ alg: 'EdDSA', typ: tokenType.verdict, kid: jwk.kid, crit: ['x'], x: 1 }, { a: 1 }, (input) =>
          sign(null, Buffer.from(input), key.privateKey),
        ),
      'bad_signature',
    ],
    'with a key of its own in the header': [
      async () => {
        const own = generateKeyPairSync('ed25519');
        return forge(
          { alg: 'EdDSA', typ: tokenType.verdict, kid: jwk.kid, jwk: await publicJwk(own.publicKey) },
          { a: 1 },
          (input) => sign(null, Buffer.from(input), own.privateKey),
        );
      },
      'bad_signature',
    ],
    'with another payload': [
      async () =>
        (await signToken(tokenType.verdict, { a: 1 }, key)).replace(
          /\..*\./,
          `.${Buffer.from('{"a":2}').toString('base64url')}.`,
        ),
      'bad_signature',
    ],
    'with bits behind the signature that say nothing': [
      async () => {
        const token = await signToken(tokenType.verdict, { a: 1 }, key);
        // 64 bytes are 86 characters, and the last four bits of the last one are none of theirs.
        const last = String.fromCharCode(token.charCodeAt(token.length - 1) + 1);
        return `${token.slice(0, -1)}${last}`;
      },
      'bad_signature',
    ],
    'with a fourth part': [async () => `${await signToken(tokenType.verdict, { a: 1 }, key)}.AAAA`, 'malformed'],
    'that names another algorithm than the one it was signed with': [
      () =>
        forge({ alg: 'ES256', typ: tokenType.verdict, kid: jwk.kid }, { a: 1 }, (input) =>
          sign(null, Buffer.from(input), key.privateKey),
        ),
      'bad_signature',
    ],
    'of another shape': [() => signToken(tokenType.verdict, { a: 'x' }, key), 'bad_payload'],
    'with more than the shape': [() => signToken(tokenType.verdict, { a: 1, b: 2 }, key), 'bad_payload'],
    'that is none': [() => 'nonsense', 'malformed'],
    'that is empty': [() => '', 'malformed'],
  };
  for (const [name, [make, problem]] of Object.entries(refused)) {
    it(`a token ${name} is refused`, async () => {
      assert.deepEqual(await verifyToken(tokenType.verdict, await make(), [jwk], schema), { ok: false, problem });
    });
  }

  it('only Ed25519 keys sign', async () => {
    const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
    }) as string;
    await assert.rejects(signingKeyFromPem(pem));
    await assert.rejects(signingKeyFromPem('nonsense'));
  });
});

describe('enrolment tokens', () => {
  const token = { id: 'AAAAAAAAAAAAAAAA', secret: 'B'.repeat(43), fingerprint: 'C'.repeat(43) };
  it('are read as they were written, blanks around them aside', () => {
    assert.deepEqual(parseEnrolmentToken(` ${formatEnrolmentToken(token)}\n`), token);
  });
  for (const text of [
    '',
    'idt1',
    `idt2.${'A'.repeat(16)}.${'B'.repeat(43)}.${'C'.repeat(43)}`,
    `idt1.${'A'.repeat(16)}.${'B'.repeat(43)}`,
    `${formatEnrolmentToken(token)}.x`,
    `idt1.A.${'B'.repeat(43)}.${'C'.repeat(43)}`,
  ]) {
    it(`"${text.slice(0, 30)}" is none`, () => assert.equal(parseEnrolmentToken(text), null));
  }
});

describe('names', () => {
  it('a user code is read as people type it', () => {
    for (const typed of ['ABCDEF-123456', 'abcdef123456', ' abc def - 123 456 '])
      assert.equal(parseUserCode(typed), 'ABCDEF-123456');
    for (const typed of ['', 'ABCDEI-123456', 'ABCDEO-123456', 'ABCDEF-12345', 'ABCDEF-1234567', '123456-ABCDEF'])
      assert.equal(parseUserCode(typed), null);
  });
  it('[W-28] a host has one name', () => {
    assert.equal(normaliseHostName('Web1.Example.COM.'), 'web1.example.com');
  });
});
