import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

function parse(text: string): Address | null {
  // A proxy may write `[2001:db8::1]:443` or `192.0.2.1:55555`; the port is of no interest.
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([0-9.]+):\d+$/.exec(text)?.[1] ?? text;
  if (!ipaddr.isValid(bare) || (ipaddr.IPv4.isValid(bare) && !ipaddr.IPv4.isValidFourPartDecimal(bare))) return null;
  // `process` unwraps ::ffff:10.0.0.1, which would otherwise match no IPv4 network.
  return ipaddr.process(bare);
}

/** Tells whether an address belongs to one of the networks (CIDR). An address that cannot be read belongs to none. */
export function createNetworkMatcher(networks: readonly string[]): (address: string) => boolean {
  const ranges = networks.map((network): [Address, number] => {
    const [address, bits] = ipaddr.parseCIDR(network);
    // A network written as ::ffff:10.0.0.0/104 is an IPv4 network.
    return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96
      ? [address.toIPv4Address(), bits - 96]
      : [address, bits];
  });
  return (text) => {
    const address = parse(text);
    return (
      address !== null && ranges.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits))
    );
  };
}

/**
 * The true client: walking from the connection towards the left of X-Forwarded-For, the first address that is no
 * trusted proxy. Everything further left was written by that client and could be anything.
 *
 * @returns an address in canonical text form; `unknown` when the connection has none.
 */
export function createClientAddress(
  trustedProxies: readonly string[],
): (peer: string | undefined, forwardedFor: string | readonly string[] | undefined) => string {
  const isTrusted = createNetworkMatcher(trustedProxies);
  return (peer, forwardedFor) => {
    const hops = (typeof forwardedFor === 'string' ? [forwardedFor] : (forwardedFor ?? [])).join(',').split(',');
    let client = parse(peer ?? '');
    if (client === null) return 'unknown';
    for (let i = hops.length - 1; i >= 0 && isTrusted(client.toString()); i--) {
      const hop = parse(hops[i]!.trim());
      // What a trusted proxy passed on and nobody can read is not walked past: the proxy itself is the last known hop.
      if (hop === null) break;
      client = hop;
    }
    return client.toString();
  };
}

/**
 * The address that limits count for: IPv4 whole, IPv6 by /64, because one customer has all of a /64.
 */
export function addressBucket(address: string): string {
  const parsed = parse(address);
  if (parsed === null) return address;
  return parsed instanceof ipaddr.IPv6
    ? `${ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/64`)}/64`
    : parsed.toString();
}
