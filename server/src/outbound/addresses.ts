import ipaddr from 'ipaddr.js';
import { createNetworkMatcher } from '../platform/client-address.ts';

/**
 * Networks in which an address typed by an operator could make this server talk to what only it can reach: itself, its
 * neighbours, the metadata service of a cloud. IANA's special-purpose registries, and what leads to such addresses.
 */
const CLOSED: Readonly<Record<string, string>> = {
  '0.0.0.0/8': 'this network; Linux takes 0.0.0.0 for the machine itself',
  '10.0.0.0/8': 'private',
  '100.64.0.0/10': 'shared between a provider and its customers',
  '127.0.0.0/8': 'this machine',
  '169.254.0.0/16': 'link-local; clouds serve their metadata there',
  '172.16.0.0/12': 'private',
  '192.0.0.0/24': 'protocol assignments',
  '192.0.2.0/24': 'documentation',
  '192.88.99.0/24': 'relays of 6to4',
  '192.168.0.0/16': 'private',
  '198.18.0.0/15': 'benchmarks',
  '198.51.100.0/24': 'documentation',
  '203.0.113.0/24': 'documentation',
  '224.0.0.0/4': 'multicast',
  '240.0.0.0/4': 'reserved, broadcast',
  '2001::/23': 'protocol assignments, Teredo among them, which holds an IPv4 address',
  '2001:db8::/32': 'documentation',
  '2002::/16': '6to4, which holds an IPv4 address',
  '3fff::/20': 'documentation',
};

/** Of IPv6, nothing else has been given to anybody to be reached at: not ::1, fc00::/7, fe80::/10 or 64:ff9b::/96. */
const IPV6_UNICAST = '2000::/3';

/** Whether an address can be reached by everybody, could lead inside, or leads inside and was opened by the operator. */
export type Reach = 'public' | 'closed' | 'opened';

/**
 * Judges addresses as a resolver or a URL gives them. What cannot be read is closed. An opened network opens what it
 * names and not what hides in it: the IPv4 address inside of a NAT64, 6to4 or Teredo address has to be allowed too.
 *
 * @param opened networks (CIDR) that the operator allows
 */
export function createReachOf(opened: readonly string[]): (address: string) => Reach {
  const isOpened = createNetworkMatcher(opened);
  const isClosed = createNetworkMatcher(Object.keys(CLOSED));
  const isUnicast = createNetworkMatcher([IPV6_UNICAST]);

  function reachOf(text: string): Reach {
    const address = parse(text);
    if (address === null) return 'closed';
    const plain = address.toString();
    if (isOpened(plain)) return embedded(address).some((inner) => reachOf(inner) === 'closed') ? 'closed' : 'opened';
    if (isClosed(plain)) return 'closed';
    return address instanceof ipaddr.IPv4 || isUnicast(plain) ? 'public' : 'closed';
  }
  return reachOf;
}

/** An address in its usual spelling. Null: none, or one of another machine's interface (`fe80::1%eth0`). */
function parse(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  if (text.includes('%') || text.includes('[') || !ipaddr.isValid(text)) return null;
  if (ipaddr.IPv4.isValid(text) && !ipaddr.IPv4.isValidFourPartDecimal(text)) return null;
  // ::ffff:127.0.0.1 is 127.0.0.1 to the kernel.
  return ipaddr.process(text);
}

/** The IPv4 addresses that an IPv6 address makes a translator or tunnel send to (RFC 6052, 7915, 3056, 4380). */
function embedded(address: ipaddr.IPv4 | ipaddr.IPv6): string[] {
  if (address instanceof ipaddr.IPv4) return [];
  const bytes = address.toByteArray();
  const at = (offset: number, flip = 0): string =>
    bytes
      .slice(offset, offset + 4)
      .map((byte) => byte ^ flip)
      .join('.');
  switch (address.range()) {
    case 'rfc6052':
    case 'rfc6145':
      return [at(12)];
    case '6to4':
      return [at(2)];
    case 'teredo':
      return [at(4), at(12, 0xff)];
    default:
      return [];
  }
}
