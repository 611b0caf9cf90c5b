import type { Clock } from '../platform/clock.ts';
import { ANYTHING, readReply } from './reply.ts';
import { type Sent, sendOnce } from './send-once.ts';
import { type Answer, CONNECT_TIMEOUT_MS, type Transport, TransportError, type TransportRequest } from './transport.ts';

/** Several ways to one server. */
export interface Servers extends Transport {
  /** Whether every one of them was asked since then (on the monotonic clock), and the last thing seen of each is an outage. */
  allOutSince(at: number): boolean;
  /** How much longer than with one of them it may take until an answer, or the lack of one, is known, milliseconds. */
  patienceMs: number;
  /**
   * Asks for what a server takes once, however often it arrives: signed, with a nonce and a number. So the next one gets the
   * very same request as soon as one does not answer in FAILOVER_MS, or breaks.
   */
  requestOnce(request: TransportRequest): Sent;
  /** Each by itself, in the order of client.conf. */
  each: readonly Transport[];
}

/** What was seen of one of them the last time. `out`: what counts as an outage. `failing`: it is there, and of no use. */
type Seen = { kind: 'works' } | { kind: 'out' | 'failing'; at: number; order: number };

function isOutage(answer: Answer): boolean {
  const reply = readReply(answer, ANYTHING);
  return reply.kind === 'unavailable' && reply.outage;
}

/**
 * Asks the first that works, and stays with it until it fails.
 *
 * Where no connection was made nothing was sent, so the same request goes to the next one at once. What may have arrived
 * is not sent twice, because a second server would only say that it did: the next request goes elsewhere. What carries a
 * number is sent twice, see `requestOnce`.
 */
export function createServers(transports: readonly Transport[], clock: Clock): Servers {
  const seen: Seen[] = transports.map(() => ({ kind: 'works' }));
  let current = 0;
  let failures = 0;

  const fails = (kind: 'out' | 'failing'): Seen => ({ kind, at: clock.monotonic(), order: ++failures });

  const orderOf = (index: number): number => {
    const last = seen[index]!;
    return last.kind === 'works' ? 0 : last.order;
  };

  /** The one that works first, then those whose failure is longest ago. */
  const inOrder = (): number[] =>
    [...transports.keys()].sort(
      (one, other) =>
        orderOf(one) - orderOf(other) || Number(other === current) - Number(one === current) || one - other,
    );

  async function ask(index: number, request: TransportRequest): Promise<Answer> {
    try {
      const answer = await transports[index]!.request(request);
      seen[index] = isOutage(answer) ? fails('out') : { kind: 'works' };
      if (seen[index].kind === 'works') current = index;
      return answer;
    } catch (error) {
      if (error instanceof TransportError && error.kind !== 'aborted')
        seen[index] = fails(error.kind === 'unreachable' ? 'out' : 'failing');
      throw error;
    }
  }

  return {
    async request(request) {
      const [first, ...others] = inOrder();
      let asked = ask(first!, request);
      for (const next of others) {
        asked = asked.catch((error: unknown) => {
          if (error instanceof TransportError && error.kind === 'unreachable') return ask(next, request);
          throw error;
        });
      }
      return asked;
    },
    requestOnce: (request) =>
      sendOnce({
        order: inOrder(),
        ask,
        hangs: (index) => {
          seen[index] = fails('failing');
        },
        clock,
        request,
      }),
    dialAhead() {
      transports[inOrder()[0]!]!.dialAhead();
    },
    allOutSince: (at) => seen.every((last) => last.kind === 'out' && last.at >= at),
    patienceMs: (transports.length - 1) * CONNECT_TIMEOUT_MS,
    each: transports,
    close() {
      for (const transport of transports) transport.close();
    },
  };
}
