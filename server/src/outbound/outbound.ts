import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { createReachOf } from './addresses.ts';
import { type Answer, type PostRequest, post } from './post.ts';
import { hostOf, readTypedUrl } from './typed-url.ts';

/** All addresses of a name. Rejects when it has none, or nobody says so. */
export type Resolve = (name: string) => Promise<string[]>;

export const systemResolve: Resolve = async (name) =>
  (await systemLookup(name, { all: true, order: 'verbatim' })).map(({ address }) => address);

/**
 * What came of an exchange. `opened`: the receiver is in a network that was opened. `final`: it must not happen at all, and
 * the next try would not either.
 */
export type Sent = { ok: true; answer: Answer; opened: boolean } | { ok: false; final: boolean; reason: string };

export type OutboundRequest = Pick<PostRequest, 'url' | 'headers' | 'body' | 'signal'>;

/** Where a name or address may be dialled; null in place of addresses: nowhere. */
export type Target = { ok: true; addresses: string[]; opened: boolean } | Extract<Sent, { ok: false }>;

/**
 * Talks to addresses that an operator typed. By default none of them leads into this machine or its networks.
 *
 * @param opened networks (CIDR) that may be talked to nevertheless
 * @param timeoutMs how long a receiver has; 15 seconds unless given
 */
export function createOutbound(deps: {
  opened: readonly string[];
  resolve: Resolve;
  now: () => number;
  timeoutMs?: number;
}) {
  const reachOf = createReachOf(deps.opened);
  const limit = deps.timeoutMs === undefined ? {} : { timeoutMs: deps.timeoutMs };

  /** The addresses of a host, every one of which may be dialled. One that may not is a reason to dial none. */
  async function target(host: string): Promise<Target> {
    let addresses: string[];
    try {
      addresses = isIP(host) === 0 ? await deps.resolve(host) : [host];
    } catch {
      return { ok: false, final: false, reason: 'the name is not found' };
    }
    const reaches = addresses.map(reachOf);
    if (reaches.length === 0) return { ok: false, final: false, reason: 'the name is not found' };
    if (reaches.includes('closed')) return { ok: false, final: true, reason: CLOSED };
    return { ok: true, addresses, opened: !reaches.includes('public') };
  }

  return {
    target,

    /** One POST. No redirect, no proxy; what the name means is asked once, and what was judged is what is dialled. */
    async post(request: OutboundRequest): Promise<Sent> {
      const typed = readTypedUrl(request.url);
      if (!typed.ok) return { ok: false, final: true, reason: `the address ${typed.problem}` };
      const { url } = typed;
      const found = await target(hostOf(url));
      if (!found.ok) return found;
      // Whoever is on the way could read what is sent, a link that approves among it.
      if (url.protocol === 'http:' && !found.opened) return { ok: false, final: true, reason: PLAIN };
      try {
        const answer = await post({
          ...request,
          ...limit,
          url: url.href,
          now: deps.now,
          lookup: onlyThese(found.addresses),
        });
        return { ok: true, answer, opened: found.opened };
      } catch (error) {
        return { ok: false, final: false, reason: whyNot(error) };
      }
    },
  };
}
export type Outbound = ReturnType<typeof createOutbound>;

const CLOSED = 'the address leads into a network that IDENTREE_NOTIFY_ALLOW_CIDRS does not open';
const PLAIN = 'the address is plain http and leads out of the networks of IDENTREE_NOTIFY_ALLOW_CIDRS';

/** What the socket is told when it asks for the addresses of its name: those that were judged, whatever is said by now. */
const onlyThese =
  (addresses: readonly string[]): LookupFunction =>
  (_name, options, callback) => {
    const all = addresses.map((address) => ({ address, family: isIP(address) }));
    const [{ address, family } = { address: '', family: 0 }] = all;
    if (options.all) callback(null, all);
    else callback(null, address, family);
  };

/** A failure in words that name no address: there may be a token in it. */
function whyNot(error: unknown): string {
  if (error instanceof AggregateError) return whyNot(error.errors[0]);
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? (/^(no answer|the receiver) /.test(message) ? message : 'no connection');
}
