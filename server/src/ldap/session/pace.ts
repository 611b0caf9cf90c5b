import { ENTRY_WORK } from '../engine/cursor.ts';
import type { Limits } from './limits.ts';
import { createShare, type Share } from './scheduler.ts';
import type { Context, Peer, Session } from './session.ts';
import { charge, createBucket, type Rate, type Rates, refill, untilToken } from './token-bucket.ts';

/**
 * Clients that ask more than their rate allows are slowed and never refused: sssd takes a refusal for an outage and the
 * whole host for offline. What is over the rate is left unread in the connection until its time comes.
 */

export const ratesOf = (limits: Limits): Rates => ({
  connection: { perSecond: limits.searchRate, burst: limits.searchBurst },
  authenticated: {
    perSecond: limits.searchRate,
    burst: Math.max(limits.searchBurst, limits.searchBurstAuthenticated),
  },
  address: { perSecond: limits.searchRatePerAddress, burst: limits.searchBurstPerAddress },
});

export const createPeer = (limits: Limits, now: number): Peer => ({
  connections: 0,
  searches: createBucket(limits.searchBurstPerAddress, now),
  resting: new Set(),
  ...createShare(),
});

/**
 * What a new connection counts as having had: its part of what its address has. With nothing, whoever comes anew for every
 * search would go before a host that stays.
 */
export const createFairShare = ({ weight, connections }: Peer): Share => ({
  weight: weight - Math.log2(Math.max(1, connections)),
});

/** A large filter takes as much memory and time as many small ones: a request counts as a search for each of these. */
const OCTETS_PER_SEARCH = 1024;
/** Sending so many entries, or looking at as many values as is the same work, takes as long as a lookup. */
const WORK_PER_SEARCH = 24 * ENTRY_WORK;

const rateOf = ({ context: { rates }, trusted }: Session): Rate => (trusted ? rates.authenticated : rates.connection);

/**
 * The connection has shown who it is: it may ask more at once than a stranger. Once only, so that binding again and again
 * pays for nothing.
 */
export function trust(session: Session): void {
  if (session.trusted) return;
  session.trusted = true;
  const { connection, authenticated } = session.context.rates;
  session.searches.tokens += authenticated.burst - connection.burst;
}

/** Counts a search or compare that is begun. @param octets that the request takes. */
export function chargeRequest(session: Session, octets: number): void {
  const { context, searches, peer } = session;
  const count = Math.max(1, Math.ceil(octets / OCTETS_PER_SEARCH));
  charge(searches, rateOf(session), count);
  charge(peer.searches, context.rates.address, count);
}

/** Counts what answering it takes. @param work in units of the engine's budget. */
export function chargeWork(session: Session, work: number): void {
  charge(session.searches, rateOf(session), work / WORK_PER_SEARCH);
}

/** Gives a connection what it may have by now. @param now in milliseconds. */
export function refillAt(now: number, session: Session): void {
  const { context, searches, peer } = session;
  refill(searches, rateOf(session), now);
  refill(peer.searches, context.rates.address, now);
}

/** Whether the next request has to wait; if so it is looked at again in time. */
export function mustRest(session: Session): boolean {
  if (session.resting) return true;
  const { context, peer } = session;
  const own = untilToken(session.searches, rateOf(session));
  if (own > 0) {
    session.resting = true;
    context.after(own, () => wake(session));
    return true;
  }
  if (untilToken(peer.searches, context.rates.address) === 0) return false;
  session.resting = true;
  if (peer.resting.size === 0) wakeLater(context, peer);
  peer.resting.add(session);
  return true;
}

function wake(session: Session): void {
  session.resting = false;
  if (!session.ended) session.context.scheduler.add(session);
}

function wakeLater(context: Context, peer: Peer): void {
  context.after(untilToken(peer.searches, context.rates.address), () => wakeLightest(context, peer));
}

/** As many as there are tokens: who has said who they are, then who has had least. A neighbour of a flood goes before it. */
function wakeLightest(context: Context, peer: Peer): void {
  refill(peer.searches, context.rates.address, context.now());
  const waiting = [...peer.resting].sort(
    (a, b) => Number(a.identity === null) - Number(b.identity === null) || a.share.weight - b.share.weight,
  );
  for (const session of waiting.slice(0, Math.max(1, Math.floor(peer.searches.tokens)))) {
    peer.resting.delete(session);
    wake(session);
  }
  if (peer.resting.size > 0) wakeLater(context, peer);
}
