import type { Checkpoint } from '#shared/host-api.ts';
import {
  extendHistory,
  HASHES_PER_ANSWER,
  type LogEpoch,
  type LogHead,
  type LogKey,
  type LogShown,
  readLogEpoch,
  readLogHead,
  readLogKey,
} from '#shared/log-head.ts';
import type { PinnedTrust } from '#shared/verify-verdict.ts';
import type { HostClient } from '../client/host-client.ts';
import type { Log } from '../platform/log.ts';
import {
  type Checkpoints,
  type ContradictionKind,
  contradicted,
  observeHead,
  type StoredCheckpoint,
} from '../state/checkpoint.ts';

/**
 * What became of a head. `unproven`: the server did not show that it continues what this host has seen, and nothing shows
 * that it does not.
 */
export type Followed = { kind: 'followed' } | { kind: ContradictionKind } | { kind: 'unproven'; why: string };

export interface FollowDeps {
  client: Pick<HostClient, 'logHashes'>;
  checkpoints: Checkpoints;
  trust: PinnedTrust;
  log: Log;
}

/** More than this is not asked for page by page: a server could keep a host busy for ever. */
const FARTHEST = 20_000_000;

/** From where the hashes have to lead to the new head. */
interface Base {
  seq: number;
  hash: string;
  history: string;
}

const unproven = (why: string): Followed => ({ kind: 'unproven', why });

/** The hashes of a page are exactly those that were asked for: fewer would leave a gap, more would be of something else. */
const expected = (after: number, until: number): number => Math.min(HASHES_PER_ANSWER, until - after);

/** Whether the log leads from `base` to `head`: a null says that it does, page by page. */
async function lead(
  client: FollowDeps['client'],
  base: Base,
  head: LogHead,
  first: readonly string[] | null,
): Promise<Followed | null> {
  if (head.seq < base.seq) return { kind: 'rolled_back' };
  if (head.seq - base.seq > FARTHEST) return unproven(`its log would be at event ${head.seq}, too far to follow`);
  let { seq, hash, history } = base;
  let given = first;
  while (seq < head.seq) {
    if (given === null) {
      const reply = await client.logHashes(seq, head.seq);
      if (reply.kind !== 'ok') return unproven(reply.kind === 'aborted' ? 'cancelled' : reply.message);
      given = reply.value.hashes;
    }
    if (given.length !== expected(seq, head.seq))
      return unproven(`it told ${given.length} hashes instead of ${expected(seq, head.seq)} after event ${seq}`);
    for (const next of given) history = extendHistory(history, next);
    hash = given.at(-1) ?? hash;
    seq += given.length;
    given = null;
  }
  return history === head.history && hash === head.hash ? null : { kind: 'forked' };
}

const keepSigned = (head: LogHead, key: LogKey, shown: LogShown): StoredCheckpoint['signed'] => ({
  head: shown.head,
  history: head.history,
  epoch: head.epoch,
  at: head.at,
  key: shown.key,
  keyId: key.key.kid,
  keyIssuedAt: key.issuedAt,
});

/**
 * The epoch that a head is in, if it may supersede what is kept. One that was signed before the kept head is a replay: it
 * would bring back a past that this host has left behind.
 */
async function newEpoch(
  head: LogHead,
  kept: { epoch: number; at: number },
  shown: LogShown,
  trust: PinnedTrust,
): Promise<LogEpoch | null> {
  const epoch = shown.epoch === null ? null : await readLogEpoch(shown.epoch, trust);
  return epoch !== null && epoch.at === head.epoch && epoch.at > Math.max(kept.at, kept.epoch) ? epoch : null;
}

/** Checks that the log which the server shows continues what this host has seen, and remembers what came of it. */
export async function followLog(deps: FollowDeps, shown: LogShown, now: number): Promise<Followed> {
  const { checkpoints, trust, log } = deps;
  const state = checkpoints.current();
  const key = await readLogKey(shown.key, trust);
  if (key === null) return unproven('its trust root does not vouch for the key of its log');
  const { signed } = state;
  if (signed !== null && key.key.kid !== signed.keyId && key.issuedAt <= signed.keyIssuedAt)
    return unproven('the key of its log is older than the one that this host knows');
  const head = await readLogHead(shown.head, trust.serverId, [key.key]);
  if (head === null) return unproven('the head of its log is not signed by the key of its log');

  const differs = async (kind: ContradictionKind): Promise<Followed> => {
    await checkpoints.keep(contradicted(state, kind, head, now));
    return { kind };
  };
  const follow = async (restored: StoredCheckpoint['restored']): Promise<Followed> => {
    const { seq, hash } = head;
    await checkpoints.keep({ v: 2, seq, hash, signed: keepSigned(head, key, shown), contradiction: null, restored });
    return { kind: 'followed' };
  };

  if (signed === null) {
    const next = observeHead(state, head, now);
    return next.contradiction === null ? follow(state.restored) : differs(next.contradiction.kind);
  }
  if (head.epoch < signed.epoch) return differs('rolled_back');
  let base: Base = { seq: state.seq, hash: state.hash, history: signed.history };
  let restored = state.restored;
  let first: readonly string[] | null = shown.hashes;
  if (head.epoch > signed.epoch) {
    const epoch = await newEpoch(head, signed, shown, trust);
    if (epoch === null) return differs(head.seq < state.seq ? 'rolled_back' : 'forked');
    const { seq, operator, reason } = epoch;
    base = epoch;
    restored = { at: epoch.at, seq, seen: state.seq, operator, reason };
    first = null;
  }
  const wrong = await lead(deps.client, base, head, first);
  if (wrong?.kind === 'rolled_back' || wrong?.kind === 'forked') return differs(wrong.kind);
  if (wrong !== null) return wrong;
  if (restored !== null && restored !== state.restored) {
    log.warn(
      `${restored.operator} let the server's log go on from event ${restored.seq} (${restored.reason}); this host had seen it up to ${restored.seen}`,
    );
  }
  return follow(restored);
}

/** What is remembered of a server that signs no heads. */
export async function observeUnsigned(
  { checkpoints }: Pick<FollowDeps, 'checkpoints'>,
  head: Checkpoint,
  now: number,
): Promise<Followed> {
  const state = checkpoints.current();
  if (state.signed !== null) return unproven('it shows no signed head of its log, and this host knows one');
  const next = observeHead(state, head, now);
  await checkpoints.keep(next);
  return { kind: next.contradiction?.kind ?? 'followed' };
}
