import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificateFacts, certificateFault, readCertificate } from './server-certificate.ts';
import { selfSigned, testAuthority } from './testing/certificates.ts';

const DAY = 86_400_000;

test('what a person compares: who, for which names, by whom, until when, and the fingerprint', async () => {
  const authority = await testAuthority('Example CA');
  const { certificate } = await authority.issue({ names: ['identree.example.com', '192.0.2.1'] });
  const facts = certificateFacts(certificate);
  assert.equal(facts.subject, 'identree.example.com');
  assert.equal(facts.issuer, 'Example CA');
  assert.equal(facts.issuedByItself, false);
  assert.deepEqual(facts.names, ['identree.example.com', '192.0.2.1']);
  assert.match(facts.fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  assert.ok(facts.validFrom < Date.now() && facts.validTo > Date.now());
  assert.equal(certificateFacts(authority.pem).issuedByItself, true);
});

test('what its maker wrote hides nothing, turns no text round and fills no page', async () => {
  const subject = `good\u202eelpmaxe${'x'.repeat(200)}`;
  const { certificate } = await selfSigned({ subject, names: Array.from({ length: 200 }, (_, i) => `n${i}.test`) });
  const facts = certificateFacts(certificate);
  assert.doesNotMatch(facts.subject, /\u202e/);
  assert.ok([...facts.subject].length <= 100);
  assert.equal(facts.names.length, 20);
});

test('one for another name or another time is of no use, whoever vouches for it', async () => {
  const { certificate } = await selfSigned({ names: ['identree.example.com', '192.0.2.1'] });
  const fault = (origin: string, days = 0) => certificateFault(certificate, origin, Date.now() + days * DAY);
  assert.equal(fault('https://identree.example.com'), null);
  assert.equal(fault('https://identree.example.com:8443'), null);
  assert.equal(fault('https://192.0.2.1'), null);
  for (const other of ['https://example.com', 'https://a.identree.example.com', 'https://192.0.2.2', 'https://[::1]']) {
    assert.equal(fault(other), 'other_name', other);
  }
  assert.equal(fault('https://identree.example.com', 31), 'expired');
  assert.equal(fault('https://identree.example.com', -2), 'not_yet_valid');
});

test('of a file exactly one certificate is taken: what is trusted is what was shown', async () => {
  const [one, other] = [await selfSigned(), await selfSigned()];
  const kept = readCertificate(`Bag Attributes\r\n${one.certificate}\n`);
  assert.equal(kept?.trim(), one.certificate.trim());
  assert.equal(readCertificate(kept!), kept);
  for (const [what, text] of Object.entries({
    nothing: '',
    text: 'hello',
    'two of them': one.certificate + other.certificate,
    'a key': one.key,
    'a key besides': one.certificate + one.key,
    'a broken one': one.certificate.replace(/\n.{10}/, '\nAAAAAAAAAA'),
    'half of one': one.certificate.slice(0, 200),
    binary: '\0\u0001\u0002',
  })) {
    assert.equal(readCertificate(text), null, what);
  }
});
