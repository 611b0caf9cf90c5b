import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import ipaddr from 'ipaddr.js';
import { createNetworkMatcher } from '../platform/client-address.ts';
import { createReachOf } from './addresses.ts';
import { pythonReachable } from './testing/python-oracle.ts';
import { hostOf, readTypedUrl } from './typed-url.ts';

const reachOf = createReachOf([]);

/** Numbers that look random and are the same in every run. */
function* numbers(seed: string): Generator<number, never> {
  for (let block = 0; ; block++) {
    const hash = createHash('sha256').update(`${seed} ${block}`).digest();
    for (let at = 0; at < hash.length; at += 4) yield hash.readUInt32BE(at);
  }
}

/** Where the registries have borders: addresses are generated on both sides of each, beside those from anywhere. */
const BORDERS = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.31.196.0/24', '192.52.193.0/24', '192.88.99.0/24', '192.168.0.0/16', '192.175.48.0/24'],
  ...['198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4', '255.255.255.255/32'],
  ...['::/128', '::1/128', '::/8', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/32', '2001::/23'],
  ...['2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '2000::/3', '4000::/3', '3fff::/20', '5f00::/16'],
  ...['fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8', '2400::/12', '2a00::/12', 'e000::/4', '200::/7'],
].map((network) => ipaddr.parseCIDR(network));

function spelled(bytes: number[]): string {
  return bytes.length === 4 ? bytes.join('.') : ipaddr.fromByteArray(bytes).toString();
}

/** The first or last address of a network, or its neighbour outside. */
function atBorder([network, bits]: (typeof BORDERS)[number], which: number): string {
  const bytes = network.toByteArray();
  const width = BigInt(bytes.length * 8);
  const low = bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const high = low + (1n << (width - BigInt(bits))) - 1n;
  const value = [low, high, low - 1n, high + 1n][which]! & ((1n << width) - 1n);
  return spelled(bytes.map((_, at) => Number((value >> (width - 8n * BigInt(at + 1))) & 0xffn)));
}

function addresses(count: number): string[] {
  const borders = BORDERS.flatMap((network) => [0, 1, 2, 3].map((which) => atBorder(network, which)));
  const next = numbers('addresses');
  const random = (length: number): number[] => Array.from({ length }, () => next.next().value & 0xff);
  const made = Array.from({ length: count - borders.length }, (_, index) => {
    if (index % 3 === 0) return spelled(random(4));
    if (index % 3 === 1) return spelled(random(16));
    // Inside of a network that some registry knows.
    const [network, bits] = BORDERS[next.next().value % BORDERS.length]!;
    const inside = network.toByteArray().map((byte, at) => {
      const kept = Math.min(8, Math.max(0, bits - at * 8));
      const mask = (0xff << (8 - kept)) & 0xff;
      return (byte & mask) | (next.next().value & 0xff & ~mask);
    });
    return spelled(inside);
  });
  return [...borders, ...made];
}

/** Where identree is stricter than Python, or versions of Python disagree. All of it is closed here. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  '192.0.0.0/24': 'two anycast addresses of it are global: nobody is told there',
  '192.88.99.0/24': 'relays of 6to4, deprecated by RFC 7526',
  '2001::/23': 'protocol assignments, of which versions of Python know more and more',
  '2002::/16': '6to4: Python before 3.12.4 calls it global',
  '3fff::/20': 'documentation since RFC 9637, which older versions do not know',
};

test('[N-21] generated addresses are judged as by Python, but for those that are listed', async () => {
  const all = addresses(process.env.IDENTREE_LONG ? 100_000 : 5_000);
  const isException = createNetworkMatcher(Object.keys(EXCEPTIONS));
  const oracle = await pythonReachable(
    all.map((address) => {
      // The kernel takes it for the IPv4 address in it, and so does who judges it.
      const parsed = ipaddr.parse(address);
      return parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress()
        ? parsed.toIPv4Address().toString()
        : address;
    }),
  );
  assert.equal(oracle.length, all.length);
  const wrong = all.filter(
    (address, index) => (reachOf(address) === 'public') !== (oracle[index]! && !isException(address)),
  );
  assert.deepEqual(wrong, []);
  const open = oracle.filter((reachable) => reachable).length;
  assert.ok(open > all.length / 5 && open < (all.length * 4) / 5, 'both kinds are among them');
});

test('[N-21] what leads into this machine or its networks is closed', () => {
  for (const address of [
    ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '100.64.0.1', '127.0.0.1', '127.255.255.254', '169.254.169.254'],
    ...['172.16.0.1', '172.31.255.255', '192.0.0.1', '192.0.0.192', '192.168.1.1', '198.18.0.1', '198.19.255.255'],
    ...['224.0.0.1', '239.255.255.250', '240.0.0.1', '255.255.255.255', '::', '::1', 'fe80::1', 'fc00::1', 'fd00::1'],
    ...['ff02::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:0:127.0.0.1', '::127.0.0.1', '64:ff9b::7f00:1'],
    ...['64:ff9b::808:808', '64:ff9b:1::a00:1', '2002:7f00:1::', '2002:808:808::1', '2001:0:a00:1::f5ff:fffe'],
    ...['fec0::1', '4000::1', 'fe80::1%eth0', '2606:4700::1%1', '', 'localhost', '0x7f.1', '2130706433', '[::1]'],
  ])
    assert.equal(reachOf(address), 'closed', address);
  for (const address of ['1.1.1.1', '172.32.0.1', '198.20.0.1', '2606:4700:4700::1111', '::ffff:1.1.1.1'])
    assert.equal(reachOf(address), 'public', address);
});

test('[N-21] an opened network opens what it names, in every spelling, and nothing beside it', () => {
  const opened = createReachOf(['10.1.0.0/16', 'fd00:1::/32', '127.0.0.1/32']);
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', 'fd00:1::5', '127.0.0.1'])
    assert.equal(opened(address), 'opened');
  for (const address of ['10.2.0.1', 'fd00:2::5', '127.0.0.2', '64:ff9b::a01:203', '2002:a01:203::1'])
    assert.equal(opened(address), 'closed', address);
  assert.equal(opened('1.1.1.1'), 'public');
});

test('[N-21] an opened translator or tunnel leads to no address that is closed itself', () => {
  const opened = createReachOf(['64:ff9b::/96', '2002::/16', '2001::/32', '192.168.7.0/24']);
  for (const address of ['64:ff9b::7f00:1', '64:ff9b::a9fe:a9fe', '2002:a00:1::1', '2002:c0a8:101::'])
    assert.equal(opened(address), 'closed', address);
  // Teredo names its server, and its client upside down.
  assert.equal(opened('2001:0:7f00:1::fefe:fefe'), 'closed');
  assert.equal(opened('2001:0:101:101::80ff:fffe'), 'closed');
  for (const address of ['64:ff9b::101:101', '2002:101:101::1', '2001:0:101:101::fefe:fefe', '64:ff9b::c0a8:705'])
    assert.equal(opened(address), 'opened', address);
});

describe('a typed URL', () => {
  const hostIn = (text: string): string => {
    const typed = readTypedUrl(text);
    return typed.ok ? hostOf(typed.url) : typed.problem;
  };

  test('[N-21] names one address, however it is spelled', () => {
    for (const host of [
      ...['127.0.0.1', '2130706433', '0x7f000001', '0x7f.1', '017700000001', '0177.0.0.1', '127.1', '127.0.1'],
      ...['127.0.0.1.', '0x7F.0X0.0.0x1', '%31%32%37.0.0.1', '①②⑦.0.0.1', '127。0。0。1'],
    ])
      assert.equal(hostIn(`https://${host}/x`), '127.0.0.1', host);
    for (const host of ['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:ffff:7f00:0001]', '[0:0::FFFF:127.0.0.1]'])
      assert.equal(reachOf(hostIn(`https://${host}/x`)), 'closed', host);
    for (const host of ['[::1]', '[64:ff9b::127.0.0.1]', '[2002:7f00:1::]', '0', '0x0', '4294967295'])
      assert.equal(reachOf(hostIn(`https://${host}/x`)), 'closed', host);
  });

  test('[N-21] holds no user name, no password and no other scheme, and what is wrong does not quote it', () => {
    for (const text of [
      'https://user:hunter2@example.com',
      'https://hunter2@example.com',
      'https://@hunter2',
      'http://:@hunter2',
    ])
      assert.equal(hostIn(text), 'holds a user name or password', text);
    for (const text of [
      ...['ftp://hunter2', 'file:///hunter2', 'javascript:hunter2', '//hunter2', 'https:hunter2', 'https:\\\\hunter2'],
      ...['gopher://hunter2', 'http://1.2.3.4.5', 'http://[fe80::1%25eth0]/', 'https://', '', 'https://hun ter2'],
    ])
      assert.equal(hostIn(text), 'is not an http or https URL', text);
  });
});
