import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import { formatRelease, formatSignature, isSigned, parseRelease, parseSignature, sha256Hex } from './release.ts';

const SUM = sha256Hex(Buffer.from('script'));
const RELEASE = {
  version: '1.2.3',
  files: [
    { name: 'identree-agent_1.2.3_amd64.deb', size: 7, sha256: SUM },
    { name: 'install.sh', size: 6, sha256: SUM },
  ],
};
const TEXT = formatRelease(RELEASE);

describe('the manifest of a release', () => {
  it('is read as it was written, whatever the order of the files', () => {
    assert.deepEqual(parseRelease(TEXT), RELEASE);
    assert.equal(formatRelease({ ...RELEASE, files: RELEASE.files.toReversed() }), TEXT);
  });

  for (const [what, text] of [
    ['a name that leaves the folder', TEXT.replace(' install.sh', ' ../install.sh')],
    ['a name with a slash', TEXT.replace(' install.sh', ' a/install.sh')],
    ['a hidden name', TEXT.replace(' install.sh', ' .install.sh')],
    ['a file twice', `${TEXT}${SUM} 6 install.sh\n`],
    ['its own signature among the files', TEXT.replace('identree-agent_1.2.3_amd64.deb', 'install.sh.sig')],
    ['itself among the files', `${TEXT}${SUM} 6 manifest\n`],
    ['no script', TEXT.replace(/.* install\.sh\n/, '')],
    ['half a sum', TEXT.replace(SUM, SUM.slice(0, 63))],
    ['no last line feed', TEXT.slice(0, -1)],
    ['an empty line', `${TEXT}\n`],
    ['another first line', TEXT.replace('release 1', 'release 2')],
    ['no version', TEXT.replace('version 1.2.3\n', '')],
    ['a return', TEXT.replaceAll('\n', '\r\n')],
  ] as const) {
    it(`is not read with ${what}`, () => assert.equal(parseRelease(text), null));
  }

  it('is not written so that it could not be read', () => {
    assert.throws(() => formatRelease({ ...RELEASE, files: [{ name: '../x', size: 1, sha256: SUM }] }));
  });
});

describe('signatures', () => {
  const bytes = Buffer.from('#!/bin/sh\n');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const text = formatSignature(sign(null, bytes, privateKey));

  it('count for the bytes and the key that they were made for', () => {
    assert.equal(isSigned(bytes, text, publicKey), true);
    assert.equal(isSigned(Buffer.from('#!/bin/sh\nid\n'), text, publicKey), false);
    assert.equal(isSigned(bytes, text, generateKeyPairSync('ed25519').publicKey), false);
  });

  it('are read with padding and without, and nothing else is', () => {
    assert.equal(isSigned(bytes, text.replace(/=/g, ''), publicKey), true);
    for (const other of ['', 'A', `${text}\n`, text.slice(4), `A${text}`, text.replace('=', '-')])
      assert.equal(parseSignature(other), null, other);
  });

  it('of another kind of key do not count', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    assert.equal(isSigned(bytes, text, rsa.publicKey), false);
  });
});
