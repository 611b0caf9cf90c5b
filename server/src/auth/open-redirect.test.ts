import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestSite, identity } from '../testing/test-site.ts';
import { localPath } from './return-to.ts';

const ELSEWHERE = [
  'https://evil.test/',
  'HTTPS://evil.test',
  '//evil.test',
  '///evil.test',
  '/%2f%2fevil.test',
  '/%2Fevil.test',
  '%2f%2fevil.test',
  '/%252f%252fevil.test',
  '/%25252fevil.test',
  '/\\evil.test',
  '\\\\evil.test',
  '/%5cevil.test',
  '/%255cevil.test',
  '/\t/evil.test',
  '/\n/evil.test',
  '/\r\nlocation: https://evil.test',
  '/%09/evil.test',
  '/%0d%0aset-cookie:a=b',
  '/ /evil.test',
  '/.//evil.test',
  '/x/..//evil.test',
  '/x/%2e%2e//evil.test',
  '/%2e//evil.test',
  '/a//b',
  '/\u00a0/evil.test',
  '/\u2028/evil.test',
  '/?\\evil',
  '/%',
  '/%e0%a4%a',
  'javascript:alert(1)',
  'evil.test',
  '',
  ' /approve',
  `/${'a'.repeat(3000)}`,
  null,
  undefined,
  ['/approve'],
];

const HERE: [string, string][] = [
  ['/', '/'],
  ['/approve/ABCDEF-123456', '/approve/ABCDEF-123456'],
  ['/approve/ABCDEF-123456?x=1#top', '/approve/ABCDEF-123456?x=1#top'],
  ['/history?next=https%3A%2F%2Fevil.test%2F', '/history?next=https%3A%2F%2Fevil.test%2F'],
  ['/a/../hosts', '/hosts'],
];

for (const value of ELSEWHERE) {
  test(`after the sign-in, ${JSON.stringify(value)?.slice(0, 60)} leads to the front page`, () => {
    assert.equal(localPath(value), '/');
  });
}

for (const [value, expected] of HERE) {
  test(`after the sign-in, ${value} leads to ${expected}`, () => {
    assert.equal(localPath(value), expected);
    // Whatever comes out must come out unchanged the second time, when the callback reads it again.
    assert.equal(localPath(expected), expected);
  });
}

test('a whole sign-in that was sent elsewhere ends on the front page', async (t) => {
  const site = await createTestSite(t);
  for (const target of ['//evil.test', '/%2f%2fevil.test', 'https://evil.test/', '/\\evil.test']) {
    const response = await site.browser().signIn(identity('alice'), `?return_to=${encodeURIComponent(target)}`);
    assert.equal(response.statusCode, 303);
    assert.equal(response.headers.location, '/');
  }
});

test('somebody who is signed in is not sent elsewhere either', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const response = await browser.get(`/sessions/login?return_to=${encodeURIComponent('//evil.test')}`);
  assert.equal(response.headers.location, '/');
});

test('a return path given twice is not guessed at', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  const response = await browser.signIn(identity('alice'), '?return_to=%2Fhosts&return_to=%2F%2Fevil.test');
  assert.equal(response.headers.location, '/');
});
