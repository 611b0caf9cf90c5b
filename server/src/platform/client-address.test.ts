import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressBucket, createClientAddress, createNetworkMatcher } from './client-address.ts';

const PROXIES = ['10.0.0.0/8', '2001:db8:ffff::/48'];

const TABLE: [string, string | undefined, string | string[] | undefined, string][] = [
  ['no proxy in between', '192.0.2.1', undefined, '192.0.2.1'],
  ['a client that invents a header', '192.0.2.1', '203.0.113.9', '192.0.2.1'],
  ['one proxy', '10.0.0.1', '192.0.2.1', '192.0.2.1'],
  ['a client that invents hops before its own', '10.0.0.1', '127.0.0.1, 203.0.113.9, 192.0.2.1', '192.0.2.1'],
  ['two proxies', '10.0.0.1', '192.0.2.1, 10.2.3.4', '192.0.2.1'],
  ['a client that pretends to be a proxy', '10.0.0.1', '203.0.113.9, 10.9.9.9, 192.0.2.1', '192.0.2.1'],
  ['only proxies', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['a proxy without the header', '10.0.0.1', undefined, '10.0.0.1'],
  ['a proxy with rubbish in the header', '10.0.0.1', '192.0.2.1, unknown', '10.0.0.1'],
  ['rubbish further left than the client', '10.0.0.1', '<script>, 192.0.2.1', '192.0.2.1'],
  ['several headers', '10.0.0.1', ['203.0.113.9', '192.0.2.1'], '192.0.2.1'],
  ['an IPv4-mapped peer', '::ffff:10.0.0.1', '192.0.2.1', '192.0.2.1'],
  ['an IPv4-mapped client', '10.0.0.1', '::ffff:192.0.2.1', '192.0.2.1'],
  ['an IPv6 proxy', '2001:db8:ffff::1', '2001:db8:1::9', '2001:db8:1::9'],
  ['hops with ports', '10.0.0.1', '[2001:db8:1::9]:443', '2001:db8:1::9'],
  ['hops with IPv4 ports', '10.0.0.1', '192.0.2.1:4711', '192.0.2.1'],
  ['an address in octal', '10.0.0.1', '0300.0.2.1', '10.0.0.1'],
  ['no peer at all', undefined, '192.0.2.1', 'unknown'],
];

for (const [what, peer, header, expected] of TABLE) {
  test(`the client behind ${what} is ${expected}`, () => {
    assert.equal(createClientAddress(PROXIES)(peer, header), expected);
  });
}

test('without trusted proxies the header is never believed', () => {
  assert.equal(createClientAddress([])('10.0.0.1', '192.0.2.1'), '10.0.0.1');
});

test('networks match their own kind of address only', () => {
  const isTrusted = createNetworkMatcher(['10.0.0.0/8', '::1/128', '::ffff:192.168.0.0/112']);
  assert.equal(isTrusted('10.1.2.3'), true);
  assert.equal(isTrusted('::ffff:10.1.2.3'), true);
  assert.equal(isTrusted('::1'), true);
  assert.equal(isTrusted('192.168.5.5'), true);
  assert.equal(isTrusted('11.0.0.1'), false);
  assert.equal(isTrusted('not an address'), false);
});

test('limits count IPv4 by address and IPv6 by /64', () => {
  assert.equal(addressBucket('192.0.2.1'), '192.0.2.1');
  assert.equal(addressBucket('2001:db8:1:2:3:4:5:6'), addressBucket('2001:db8:1:2::1'));
  assert.notEqual(addressBucket('2001:db8:1:2::1'), addressBucket('2001:db8:1:3::1'));
  assert.equal(addressBucket('unknown'), 'unknown');
});
