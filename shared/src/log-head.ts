import { z } from 'zod';
import { sha256 } from './digest.ts';
import { CHAIN_START } from './events.ts';
import { sha256Text, timestamp, uuid } from './names.ts';
import { type PublicJwk, tokenType, verifyToken } from './token.ts';
import { verifyForRoot } from './trust-root.ts';
import type { PinnedTrust } from './verify-verdict.ts';

/** The most hashes that one answer carries. */
export const HASHES_PER_ANSWER = 1000;

const publicKey = z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: sha256Text, kid: sha256Text });

/** What the trust root says about the key that signs heads. */
export const logKey = z.object({
  v: z.literal(1),
  iss: uuid,
  key: publicKey,
  issuedAt: timestamp,
});
export type LogKey = z.infer<typeof logKey>;

const head = {
  /** How many events the log has. The event with this number is the newest, and leaf `seq - 1` of a tree over the log. */
  seq: z.int().min(0),
  /** Its hash, which the whole chain leads to. */
  hash: sha256Text,
  /** Folds the hashes of all events up to it; see {@link extendHistory}. */
  history: sha256Text,
};

/**
 * The head of the event log at one time, signed by the log key. Members that are not known here are passed over: the root
 * of a tree over the same events would be one.
 */
export const logHead = z.object({
  v: z.literal(1),
  iss: uuid,
  /** When the newest epoch began that this log is in; 0 when it was never restored. See {@link logEpoch}. */
  epoch: timestamp,
  ...head,
  at: timestamp,
});
export type LogHead = z.infer<typeof logHead>;

/**
 * An operator's word that the log goes on from an earlier event, because a backup was put back. Signed by the trust root:
 * an attacker who could write one could give up whatever hosts have seen.
 */
export const logEpoch = z.object({
  v: z.literal(1),
  iss: uuid,
  /** When it was signed. It supersedes heads that were signed before, and no others: an old one is good for nothing. */
  at: timestamp,
  /** Where the log stood: what hosts take instead of what they have seen. */
  ...head,
  operator: z.string().min(1).max(256),
  reason: z.string().min(1).max(1000),
});
export type LogEpoch = z.infer<typeof logEpoch>;

/** `history` of an empty log. */
export const HISTORY_START = CHAIN_START;

/**
 * The history of a log after one more event: who knows it at one number and is told the hashes that come after can say
 * what it is at a later one, without a single event.
 */
export function extendHistory(history: string, eventHash: string): string {
  return sha256(`identree log history v1\n${history}\n${eventHash}\n`);
}

/** GET /log?after=…&until=…: the hashes of events, oldest first, at most {@link HASHES_PER_ANSWER}. */
export const logQuery = z.object({
  after: z.coerce.number().int().min(0),
  until: z.coerce.number().int().min(0),
});

export const logResponse = z.object({ hashes: z.array(sha256Text).max(HASHES_PER_ANSWER) });

/** What a host says of the log in a heartbeat, once it keeps a signed head. */
export const logSeen = z.strictObject({
  /** The newest head that it has followed the log to, as it was signed. */
  head: z.string().max(4096),
  /** What contradicts it; null when nothing does. */
  contradiction: z.enum(['rolled_back', 'forked']).nullable(),
});

/** What the answer to a heartbeat says of the log. All of it is for the host to check. */
export const logShown = z.object({
  /** JWS by the trust root: {@link logKey}. */
  key: z.string().max(4096),
  /** JWS by the log key: {@link logHead}. */
  head: z.string().max(4096),
  /** JWS by the trust root: {@link logEpoch}; null unless the log was restored. */
  epoch: z.string().max(8192).nullable(),
  /** The hashes after the newest event that the host has followed, oldest first: the first page. */
  hashes: z.array(sha256Text).max(HASHES_PER_ANSWER),
});
export type LogShown = z.infer<typeof logShown>;

type Root = Pick<PinnedTrust, 'serverId' | 'trustRoot'>;

/** Reads what the trust root says about the log key. Null when it did not say it. */
export async function readLogKey(token: string, trust: Root): Promise<LogKey | null> {
  const read = await verifyForRoot(tokenType.logKey, token, trust.trustRoot, logKey);
  return read.ok && read.payload.iss === trust.serverId ? read.payload : null;
}

/** Reads a head. Null when none of these keys signed it for this server. */
export async function readLogHead(
  token: string,
  serverId: string,
  keys: readonly PublicJwk[],
): Promise<LogHead | null> {
  const read = await verifyToken(tokenType.logHead, token, keys, logHead);
  return read.ok && read.payload.iss === serverId ? read.payload : null;
}

/** Reads an epoch. Null when the trust root did not sign it for this server. */
export async function readLogEpoch(token: string, trust: Root): Promise<LogEpoch | null> {
  const read = await verifyForRoot(tokenType.logEpoch, token, trust.trustRoot, logEpoch);
  return read.ok && read.payload.iss === trust.serverId ? read.payload : null;
}
