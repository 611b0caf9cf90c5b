import { ReaderFailure } from '../../events/readers.ts';
import { type Answer, isDone, post } from '../../outbound/post.ts';
import type { AuditRecord } from '../record.ts';
import { type AuditSink, mustBeSure } from '../sink.ts';
import { failureOf, PAUSED, withoutToken } from './failure.ts';

const BATCH = 100;
const EVERY_MS = 5000;
const NS_PER_MS = 1_000_000n;
/** Few and always the same: each set of labels is a stream of its own. */
const LABELS = { app: 'identree', job: 'identree-audit' };

/** What Loki says of entries that are older than it takes, or from its future. */
const OF_ANOTHER_TIME = /timestamp too (old|new)|too far behind|out of order/i;
/** It confirms without a word. A portal or a proxy in front has a page to show. */
const isConfirmed = (answer: Answer): boolean => isDone(answer) && answer.body.trim() === '';
const isPage = ({ body }: Answer): boolean => body.trimStart().startsWith('<');

/**
 * Entries of one stream, each later than the one before it. Their times follow from the events, so that an event that comes
 * twice is one entry.
 *
 * @param at milliseconds since the epoch
 */
function entries(records: readonly AuditRecord[], at: (record: AuditRecord) => number): [string, string][] {
  let last = 0n;
  return records.map((record) => {
    const wanted = BigInt(at(record)) * NS_PER_MS + (BigInt(record.event.seq) % NS_PER_MS);
    last = wanted > last ? wanted : last + 1n;
    return [String(last), record.text];
  });
}

/**
 * Grafana Loki.
 *
 * @param deps.now milliseconds since the epoch
 */
export function createLoki(deps: {
  url: string;
  token: string | null;
  tenant: string | null;
  gzip: boolean;
  now: () => number;
}): AuditSink {
  const url = `${deps.url}/loki/api/v1/push`;
  const headers = {
    ...(deps.token === null ? {} : { authorization: `Bearer ${deps.token}` }),
    ...(deps.tenant === null ? {} : { 'x-scope-orgid': deps.tenant }),
  };

  const push = (values: readonly [string, string][], signal: AbortSignal): Promise<Answer> =>
    post({
      url,
      headers,
      body: JSON.stringify({ streams: [{ stream: LABELS, values }] }),
      gzip: deps.gzip,
      signal,
      now: deps.now,
    });

  return {
    name: 'loki',
    batch: BATCH,
    everyMs: EVERY_MS,
    async deliver(records, turn) {
      let answer = await push(
        // It takes no event of the first moment of all, and would have the whole batch for one of the present.
        entries(records, ({ event }) => (event.unreadable ? deps.now() : event.at)),
        turn.signal,
      );
      const isOfAnotherTime = () => answer.status === 400 && OF_ANOTHER_TIME.test(answer.body);
      if (isOfAnotherTime()) {
        // After a long outage, or of a clock that was ahead. When it really was stands in the line.
        const now = deps.now();
        mustBeSure(turn);
        answer = await push(
          entries(records, () => now),
          turn.signal,
        );
      }
      if (isConfirmed(answer)) return null;
      const said = withoutToken(answer.body.trim(), deps.token).slice(0, 200);
      // No event is to blame for the clocks, and they are put right one day.
      if (isOfAnotherTime()) throw new ReaderFailure(`its clock and the one of this server differ: ${said}`);
      if (isDone(answer))
        throw new ReaderFailure(`the receiver answers ${answer.status}, but not as Loki does`, PAUSED);
      // Of an entry that is too large also something in front may speak, and that is found out one by one.
      if ((answer.status === 400 && !isPage(answer)) || answer.status === 413)
        return { at: null, reason: said || String(answer.status) };
      throw failureOf(answer, said);
    },
    async close() {},
  };
}
