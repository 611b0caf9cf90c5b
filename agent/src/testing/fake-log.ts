import { sha256 } from '#shared/digest.ts';
import {
  extendHistory,
  HASHES_PER_ANSWER,
  HISTORY_START,
  type LogEpoch,
  type LogHead,
  type LogKey,
  type LogShown,
} from '#shared/log-head.ts';
import { type PublicJwk, type SigningKey, signToken, tokenType } from '#shared/token.ts';

type Key = SigningKey & { public: PublicJwk };

/** The event log of a fake server, as far as hosts see it: hashes, and heads that are signed. */
export interface FakeLog {
  /** The hashes of its events, oldest first. */
  hashes: string[];
  key: Key;
  root: Key;
  keyIssuedAt: number;
  /** The clock of whoever signs. */
  now: number;
  /** The epoch token that is shown, and when it began. */
  epoch: { token: string; at: number } | null;
  add(count: number, kind?: string): void;
  position(seq?: number): { seq: number; hash: string; history: string };
  sign(change?: Partial<LogHead>, key?: SigningKey): Promise<string>;
  shown(after: number | null): Promise<LogShown>;
  page(after: number, until: number): string[];
  /** Signs where the log stands as what it goes on from. */
  restore(change?: Partial<LogEpoch>, key?: SigningKey): Promise<void>;
  /** The same log, which goes its own way from here. */
  copy(): FakeLog;
}

export function createFakeLog(serverId: string, root: Key, key: Key): FakeLog {
  const log: FakeLog = {
    hashes: [],
    key,
    root,
    keyIssuedAt: 1,
    now: Date.now(),
    epoch: null,
    add(count, kind = 'event') {
      for (let i = 0; i < count; i++) log.hashes.push(sha256(`${kind} ${log.hashes.length}`));
      log.now += 1000;
    },
    position(seq = log.hashes.length) {
      const known = log.hashes.slice(0, seq);
      return { seq, hash: known.at(-1) ?? HISTORY_START, history: known.reduce(extendHistory, HISTORY_START) };
    },
    sign(change = {}, by = log.key) {
      const head: LogHead = {
        v: 1,
        iss: serverId,
        epoch: log.epoch?.at ?? 0,
        ...log.position(),
        at: log.now,
        ...change,
      };
      return signToken(tokenType.logHead, head, by);
    },
    async shown(after) {
      const named: LogKey = { v: 1, iss: serverId, key: log.key.public, issuedAt: log.keyIssuedAt };
      return {
        key: await signToken(tokenType.logKey, named, log.root),
        head: await log.sign(),
        epoch: log.epoch?.token ?? null,
        hashes: after === null ? [] : log.page(after, log.hashes.length),
      };
    },
    page: (after, until) => log.hashes.slice(after, Math.max(after, Math.min(until, after + HASHES_PER_ANSWER))),
    async restore(change = {}, by = log.root) {
      log.now += 1000;
      const epoch: LogEpoch = {
        v: 1,
        iss: serverId,
        at: log.now,
        ...log.position(),
        operator: 'olga',
        reason: 'the disk of db1 died',
        ...change,
      };
      log.epoch = { token: await signToken(tokenType.logEpoch, epoch, by), at: epoch.at };
    },
    copy() {
      const { hashes, now, epoch, keyIssuedAt } = log;
      return Object.assign(createFakeLog(serverId, root, key), { hashes: [...hashes], now, epoch, keyIssuedAt });
    },
  };
  return log;
}
