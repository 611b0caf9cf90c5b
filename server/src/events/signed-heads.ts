import { z } from 'zod';
import {
  extendHistory,
  HISTORY_START,
  type LogEpoch,
  type LogHead,
  readLogEpoch,
  readLogHead,
  readLogKey,
} from '#shared/log-head.ts';
import { parseJson } from '#shared/parse-json.ts';
import type { PublicJwk } from '#shared/token.ts';
import type { PinnedTrust } from '#shared/verify-verdict.ts';
import type { Query } from '../db/query.ts';
import { readStoredEpochs } from './head-store.ts';
import { type ChainProblem, checkChain } from './store.ts';

/** As `identree doctor --json` has it; the key is good for as long as the trust root vouches for it. */
const exported = z.object({ logHead: z.object({ head: z.string(), key: z.string() }) });

/** Whether the log has a head that was kept outside. */
export interface HeadFound {
  head: LogHead;
  contained: boolean;
  /** The backup that an operator let the log go on from, where that is why it is not there. */
  givenUp: LogEpoch | null;
}

/**
 * Reads heads that were kept outside of this server: what `identree doctor --json` printed on a host, or heads alone, one a
 * line.
 *
 * @param file its name, for who is told that it is none
 * @throws for what this server's keys did not sign
 */
export async function readKeptHeads(
  file: string,
  text: string,
  trust: PinnedTrust,
  key: PublicJwk,
): Promise<LogHead[]> {
  const refuse = (which: string): never => {
    throw new Error(`${file}: ${which} is no head of the event log that this server signed`);
  };
  if (text.trimStart().startsWith('{')) {
    const read = exported.safeParse(parseJson(text));
    if (!read.success) return refuse('the file has no logHead, or one that is null: what it says');
    const named = await readLogKey(read.data.logHead.key, trust);
    const head = named && (await readLogHead(read.data.logHead.head, trust.serverId, [named.key]));
    return [head ?? refuse('what it says')];
  }
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) refuse('an empty file');
  return Promise.all(
    lines.map(async (line, i) => (await readLogHead(line.trim(), trust.serverId, [key])) ?? refuse(`line ${i + 1}`)),
  );
}

/**
 * Walks the whole chain and looks for heads that were kept outside of the database. A chain alone can be made right again by
 * an attacker who changes an event; what was signed before cannot.
 */
export async function checkLog(
  query: Query,
  kept: readonly LogHead[],
  trust: PinnedTrust,
): Promise<{ problem: ChainProblem | null; erased: number; heads: HeadFound[] }> {
  const wanted = new Map<number, string | null>(kept.map(({ seq }) => [seq, null]));
  let history = HISTORY_START;
  if (wanted.has(0)) wanted.set(0, history);
  let erased = 0;
  const problem = await checkChain(query, ({ seq, hash, ...event }) => {
    if (event.erased) erased += 1;
    if (kept.length === 0) return;
    history = extendHistory(history, hash);
    if (wanted.has(seq)) wanted.set(seq, history);
  });
  const epochs = await Promise.all(
    (await readStoredEpochs(query, Number.MAX_SAFE_INTEGER)).map((token) => readLogEpoch(token, trust)),
  );
  const heads = kept.map((head): HeadFound => {
    // The history folds the hash of the event itself too.
    const contained = wanted.get(head.seq) === head.history;
    const gaveUp = (epoch: LogEpoch | null) => epoch !== null && head.at < epoch.at && head.seq > epoch.seq;
    return { head, contained, givenUp: contained ? null : (epochs.find(gaveUp) ?? null) };
  });
  return { problem, erased, heads };
}
