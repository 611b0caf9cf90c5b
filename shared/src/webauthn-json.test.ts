import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  assertionToJson,
  registrationToJson,
  suggestPasskeyName,
  toCreationOptions,
  toRequestOptions,
} from './webauthn-json.ts';

const buffer = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

test('bytes go in and out as base64url without padding', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 80 }), (bytes) => {
      const options = toRequestOptions({
        challenge: text(bytes),
        allowCredentials: [{ id: text(bytes), type: 'public-key' }],
      });
      assert.deepEqual(new Uint8Array(options.challenge), bytes);
      assert.deepEqual(new Uint8Array(options.allowCredentials[0]!.id), bytes);
      const json = assertionToJson({
        id: text(bytes),
        rawId: buffer(bytes),
        response: {
          clientDataJSON: buffer(bytes),
          authenticatorData: buffer(bytes),
          signature: buffer(bytes),
          userHandle: null,
        },
      });
      assert.equal(json.rawId, text(bytes));
      assert.equal(json.response.signature, text(bytes));
      assert.ok(!('userHandle' in json.response));
    }),
  );
});

test('user verification and everything else that the server asks for reaches the browser', () => {
  const request = toRequestOptions({ challenge: 'AA', rpId: 'id.example', timeout: 5, userVerification: 'required' });
  assert.deepEqual(
    { rpId: request.rpId, timeout: request.timeout, userVerification: request.userVerification },
    { rpId: 'id.example', timeout: 5, userVerification: 'required' },
  );
  const creation = toCreationOptions({
    challenge: 'AA',
    rp: { id: 'id.example', name: 'identree' },
    user: { id: 'AQ', name: 'alice', displayName: 'Alice' },
    pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
    authenticatorSelection: { userVerification: 'required' },
    excludeCredentials: [{ id: 'Ag', type: 'public-key', transports: ['usb'] }],
  });
  assert.deepEqual(creation.authenticatorSelection, { userVerification: 'required' });
  assert.deepEqual(new Uint8Array(creation.user.id), Uint8Array.of(1));
  assert.deepEqual(creation.excludeCredentials[0]?.transports, ['usb']);
});

test('a browser that does not tell its transports is fine', () => {
  const response = { clientDataJSON: buffer(Uint8Array.of(1)), attestationObject: buffer(Uint8Array.of(2)) };
  const json = registrationToJson({ id: 'AA', rawId: buffer(Uint8Array.of(0)), response });
  assert.deepEqual(json.response.transports, []);
});

test('a new passkey is called after the device that made it', () => {
  assert.equal(suggestPasskeyName('Mozilla/5.0 (Linux; Android 16) Chrome/156'), 'Android phone');
  assert.equal(suggestPasskeyName('Mozilla/5.0 (iPhone; CPU iPhone OS 20_0 like Mac OS X)'), 'iPhone');
  assert.equal(suggestPasskeyName('curl'), 'Passkey');
});
