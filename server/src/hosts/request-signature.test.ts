import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import {
  contentDigest,
  SIGNATURE_LABEL,
  type SignatureParameters,
  signatureBase,
  signatureParameters,
} from '#shared/http-signature.ts';
import type { SignedRequest } from '../http/host-operation.ts';
import { checkSignature, readSignature } from './request-signature.ts';

const NOW = 1_800_000_000;
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const expected = { key: publicKey.export({ format: 'jwk' }).x!, tag: 'server' };

/** What a host sends that signs with this key. */
function signedBy(key: KeyObject): SignedRequest {
  const asked = { method: 'POST', targetUri: 'https://identree.example.com/api/host/v1/x', body: Buffer.from('{}') };
  const parameters: SignatureParameters = { created: NOW, nonce: 'n'.repeat(24), keyid: 'host', tag: expected.tag };
  const digest = contentDigest(asked.body);
  const base = signatureBase({ ...asked, contentDigest: digest }, parameters);
  return {
    ...asked,
    headers: {
      contentDigest: digest,
      signatureInput: `${SIGNATURE_LABEL}=${signatureParameters(parameters)}`,
      signature: `${SIGNATURE_LABEL}=:${sign(null, Buffer.from(base), key).toString('base64')}:`,
    },
  };
}

async function check(request: SignedRequest): Promise<string | null> {
  const read = readSignature(request);
  assert.ok(read.ok);
  return checkSignature(request, read, expected, NOW * 1000);
}

test('signatures that are good are taken, however many come at the same moment', async () => {
  const asked = Array.from({ length: 3 }, () => check(signedBy(privateKey)));
  assert.deepEqual(await Promise.all(asked), [null, null, null]);
});

test('each of several signatures that are checked at the same moment counts for itself', async () => {
  const stranger = generateKeyPairSync('ed25519').privateKey;
  const keys = [privateKey, stranger, privateKey, stranger];
  const right = [null, 'signature_invalid', null, 'signature_invalid'];
  assert.deepEqual(await Promise.all(keys.map((key) => check(signedBy(key)))), right);
  // The next turn of the event loop begins with one that is wrong.
  await new Promise((resolve) => setImmediate(resolve));
  const reversed = await Promise.all(keys.toReversed().map((key) => check(signedBy(key))));
  assert.deepEqual(reversed, right.toReversed());
});
