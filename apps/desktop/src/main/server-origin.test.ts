import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseServerOrigin } from './server-origin.ts';

const accepted: [typed: string, origin: string][] = [
  ['identree.example.com', 'https://identree.example.com'],
  ['  https://identree.example.com/  ', 'https://identree.example.com'],
  ['HTTPS://Identree.Example.COM', 'https://identree.example.com'],
  ['https://identree.example.com:443/inbox?x=1#y', 'https://identree.example.com'],
  ['identree.example.com:8443', 'https://identree.example.com:8443'],
  ['identree.example.com.', 'https://identree.example.com'],
  ['http://localhost:8090', 'http://localhost:8090'],
  ['localhost:8090', 'http://localhost:8090'],
  ['https://localhost:8090', 'https://localhost:8090'],
  ['https://192.0.2.7', 'https://192.0.2.7'],
  ['https://[2001:db8::1]:8443', 'https://[2001:db8::1]:8443'],
  // A look-alike is shown as what it is.
  ['https://іdentree.example.com', 'https://xn--dentree-qog.example.com'],
];

for (const [typed, origin] of accepted) {
  test(`${JSON.stringify(typed)} is ${origin}`, () => assert.deepEqual(parseServerOrigin(typed), { ok: true, origin }));
}

const refused: [typed: string, problem: string][] = [
  ['', 'empty'],
  ['   ', 'empty'],
  ['http://identree.example.com', 'not_https'],
  ['http://127.0.0.1:8090', 'not_https'],
  ['http://localhost.evil.example', 'not_https'],
  ['https://admin@identree.example.com', 'user_in_address'],
  ['https://identree.example.com@evil.example', 'user_in_address'],
  ['https://', 'not_an_address'],
  ['https://..', 'not_an_address'],
  ['https://identree.example.com:99999', 'not_an_address'],
  ['file:///etc/passwd', 'not_an_address'],
  ['javascript:alert(1)', 'not_an_address'],
  ['app://console', 'not_an_address'],
  ['ftp://identree.example.com', 'not_an_address'],
  ['https:\\\\identree.example.com', 'not_an_address'],
  ['https://identree.example.com evil', 'not_an_address'],
  ['https://identree.\u202eexample.com', 'not_an_address'],
  ['https://identree.\u0000example.com', 'not_an_address'],
  [`https://${'a'.repeat(400)}`, 'not_an_address'],
];

for (const [typed, problem] of refused) {
  test(`${JSON.stringify(typed.slice(0, 60))} is refused: ${problem}`, () =>
    assert.deepEqual(parseServerOrigin(typed), { ok: false, problem }));
}

test('an accepted address is in canonical form: reading it again changes nothing', () => {
  fc.assert(
    fc.property(fc.oneof(fc.webUrl(), fc.domain(), fc.string({ unit: 'binary' })), (typed) => {
      const parsed = parseServerOrigin(typed);
      if (!parsed.ok) return;
      assert.deepEqual(parseServerOrigin(parsed.origin), parsed);
      assert.match(parsed.origin, /^(https:\/\/[^/@?#]+|http:\/\/localhost(:\d+)?)$/);
    }),
  );
});
