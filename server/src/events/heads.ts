import { setTimeout as sleep } from 'node:timers/promises';
import { CHAIN_START } from '#shared/events.ts';
import {
  extendHistory,
  HASHES_PER_ANSWER,
  HISTORY_START,
  type LogEpoch,
  type LogHead,
  type LogShown,
  readLogEpoch,
  readLogHead,
} from '#shared/log-head.ts';
import { type PublicJwk, type SigningKey, signToken, tokenType } from '#shared/token.ts';
import type { Database } from '../db/database.ts';
import type { Clock } from '../platform/clock.ts';
import { readHash, readLinks, readStoredEpochs, readStoredHeads, storeHead } from './head-store.ts';
import { readHead } from './store.ts';

/** Where a log stands: its newest event, the hash of it, and the history of all of them. */
export interface Position {
  seq: number;
  hash: string;
  history: string;
}

/** An event does not follow the one before it, so there is nothing that could be signed. */
export class BrokenLog extends Error {
  readonly seq: number;
  readonly problem: `event ${number} of the log does not follow the one before it`;

  constructor(seq: number) {
    const problem = `event ${seq} of the log does not follow the one before it` as const;
    super(problem);
    this.seq = seq;
    this.problem = problem;
  }
}

export type HeadProblem = BrokenLog['problem'] | 'its head is not known yet' | 'its head cannot be signed';

/** Signs where the event log stands, and shows hosts how it came there from what they have seen. */
export interface LogHeads {
  /** Where the log stands now. @throws BrokenLog */
  position(): Promise<Position>;
  /**
   * What a heartbeat is told. Null while it is not known: the log is broken, or much of it has to be folded first.
   *
   * @param seen number of the newest event that the host has followed; null when it has no signed head yet.
   */
  show(seen: number | null): Promise<LogShown | null>;
  /** Hashes of events, oldest first, at most {@link HASHES_PER_ANSWER}. */
  hashes(after: number, until: number): Promise<string[]>;
  /** The payload of a head that the log key signed; null for every other. */
  read(token: string): Promise<LogHead | null>;
  /** The epoch that the log is in, at or before an event; null when it was never restored. */
  epoch(seq: number): Promise<{ token: string; epoch: LogEpoch } | null>;
  /** When a host was last shown one by this process, milliseconds; null: none was yet. */
  shownAt(): number | null;
  /** Why no head was signed when one was asked for last; null when one was. */
  problem(): HeadProblem | null;
}

/** A heartbeat does not wait longer for a head, milliseconds. */
const PATIENCE_MS = 1000;
/** Hashes of the newest events stay in memory: a fleet asks for the same ones over and over. */
const RECENT = 10_000;
/** So many of the newest stored heads are tried before the log is folded from its first event. */
const STORED_TRIED = 5;

const EMPTY: Position = { seq: 0, hash: CHAIN_START, history: HISTORY_START };

export function createLogHeads(deps: {
  db: Pick<Database, 'query' | 'transaction'>;
  clock: Clock;
  serverId: string;
  trustRoot: PublicJwk;
  key: SigningKey & { public: PublicJwk };
  /** What the trust root says about `key`. */
  keyToken: string;
  onError: (error: unknown) => void;
}): LogHeads {
  const { db, clock, serverId, key } = deps;
  const root = { serverId, trustRoot: deps.trustRoot };
  let known: Position | null = null;
  let recent: { after: number; hashes: string[] } = { after: 0, hashes: [] };
  let stored = 0;
  let folding: Promise<Position> | null = null;
  let signed: { position: Position; epoch: number; token: string } | null = null;
  let problem: HeadProblem | null = null;
  let shownAt: number | null = null;

  const read = (token: string): Promise<LogHead | null> => readLogHead(token, serverId, [key.public]);

  function remember(position: Position): void {
    if (recent.after + recent.hashes.length + 1 !== position.seq) recent = { after: position.seq - 1, hashes: [] };
    recent.hashes.push(position.hash);
    if (recent.hashes.length > 2 * RECENT) {
      recent = { after: position.seq - RECENT, hashes: recent.hashes.slice(-RECENT) };
    }
    known = position;
  }

  /**
   * Where folding begins. A stored head counts only with its signature, and only if the event is still the one that it
   * names: else an attacker who writes to the database could have any past signed that hosts have seen.
   */
  async function start(seq: number): Promise<Position> {
    if (known !== null && known.seq <= seq && (known.seq === 0 || (await readHash(db.query, known.seq)) === known.hash))
      return known;
    known = null;
    recent = { after: 0, hashes: [] };
    for (const token of await readStoredHeads(db.query, seq, STORED_TRIED)) {
      const head = await read(token);
      if (head === null || (await readHash(db.query, head.seq)) !== head.hash) continue;
      stored = head.seq;
      return { seq: head.seq, hash: head.hash, history: head.history };
    }
    stored = 0;
    return EMPTY;
  }

  async function fold(): Promise<Position> {
    const target = await readHead(db.query);
    let position = await start(target.seq);
    while (position.seq < target.seq) {
      const links = await readLinks(db.query, position.seq, Math.min(target.seq, position.seq + HASHES_PER_ANSWER));
      if (links.length === 0) throw new BrokenLog(position.seq + 1);
      for (const { seq, prevHash, hash } of links) {
        if (seq !== position.seq + 1 || prevHash !== position.hash) throw new BrokenLog(position.seq + 1);
        position = { seq, hash, history: extendHistory(position.history, hash) };
        remember(position);
      }
      // A log that is folded from its first event must not hold up decisions.
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (position.hash !== target.hash) throw new BrokenLog(target.seq);
    known ??= position;
    return position;
  }

  /** All that ask at a time share one fold. */
  function position(): Promise<Position> {
    folding ??= fold().finally(() => {
      folding = null;
    });
    return folding;
  }

  async function epoch(seq: number): Promise<{ token: string; epoch: LogEpoch } | null> {
    for (const token of await readStoredEpochs(db.query, seq)) {
      const found = await readLogEpoch(token, root);
      if (found !== null && (found.seq === 0 || (await readHash(db.query, found.seq)) === found.hash))
        return { token, epoch: found };
    }
    return null;
  }

  async function sign(at: Position, epochAt: number): Promise<string> {
    const same = signed?.position.history === at.history && signed.position.seq === at.seq && signed.epoch === epochAt;
    if (signed !== null && same) return signed.token;
    const payload: LogHead = { v: 1, iss: serverId, epoch: epochAt, ...at, at: clock.now() };
    const token = await signToken(tokenType.logHead, payload, key);
    signed = { position: at, epoch: epochAt, token };
    if (at.seq >= stored + HASHES_PER_ANSWER) {
      stored = at.seq;
      await db.transaction((work) => storeHead(work, at.seq, token));
    }
    return token;
  }

  async function hashes(after: number, until: number): Promise<string[]> {
    const end = Math.min(until, after + HASHES_PER_ANSWER);
    const { after: first, hashes: held } = recent;
    if (after >= first && end <= first + held.length) return held.slice(after - first, Math.max(after, end) - first);
    return (await readLinks(db.query, after, end)).map(({ hash }) => hash);
  }

  async function shown(seen: number | null): Promise<LogShown> {
    let at = await position();
    // Another server may have shown this host more while the fold that is shared here was under way already.
    if (at.seq < (seen ?? 0)) at = await position();
    const now = await epoch(at.seq);
    const head = await sign(at, now?.epoch.at ?? 0);
    const first = seen === null ? [] : await hashes(seen, at.seq);
    return { key: deps.keyToken, head, epoch: now?.token ?? null, hashes: first };
  }

  async function show(seen: number | null): Promise<LogShown | null> {
    const limit = new AbortController();
    const waited = sleep(PATIENCE_MS, null, { ref: false, signal: limit.signal });
    waited.catch(() => undefined);
    try {
      const made = shown(seen);
      made.catch(() => undefined);
      const told = await Promise.race([made, waited]);
      problem = told === null ? 'its head is not known yet' : null;
      if (told !== null) shownAt = clock.now();
      return told;
    } catch (error) {
      const now = error instanceof BrokenLog ? error.problem : 'its head cannot be signed';
      // Every host asks again and again: the log of the server says it once.
      if (now !== problem) deps.onError(error);
      problem = now;
      return null;
    } finally {
      limit.abort();
    }
  }

  return { position, show, hashes, read, epoch, shownAt: () => shownAt, problem: () => problem };
}
