import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ReaderFailure } from '../../events/readers.ts';
import { type Answer, isDone, post } from '../../outbound/post.ts';
import type { ReaderTurn } from '../../platform/module.ts';
import type { AuditRecord } from '../record.ts';
import { type AuditSink, mustBeSure } from '../sink.ts';
import { failureOf, PAUSED, withoutToken } from './failure.ts';

const BATCH = 100;
const EVERY_MS = 5000;

/** What the HTTP Event Collector says; its codes are in Splunk's manual. */
const verdict = z.object({
  text: z.string(),
  code: z.int(),
  'invalid-event-number': z.int().optional(),
  ackId: z.int().optional(),
});
const acknowledged = z.object({ acks: z.record(z.string(), z.boolean()) });

/** Codes that blame an event: invalid data format, no event, an empty one. */
const BLAMES_EVENT = new Set([6, 12, 13]);
const SUCCESS = 0;
const BUSY = 9;
/** Splunk advises to ask seldom; what its indexers have not within this comes again. */
const ASK_EVERY_MS = 1000;
const ASKED = 120;

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

const verdictOf = ({ body }: Answer): z.infer<typeof verdict> | null => verdict.safeParse(parse(body)).data ?? null;

/**
 * Splunk's HTTP Event Collector.
 *
 * @param deps.host name of this machine
 * @param deps.now milliseconds since the epoch
 * @param deps.channel with one, what counts as delivered is what the indexers have (indexer acknowledgement); null: what the
 * collector took
 */
export function createSplunk(deps: {
  url: string;
  token: string;
  index: string | null;
  gzip: boolean;
  host: string;
  now: () => number;
  channel: string | null;
  askEveryMs?: number;
}): AuditSink {
  const { token, index, host, channel, askEveryMs = ASK_EVERY_MS } = deps;
  const url = new URL(deps.url).pathname === '/' ? `${deps.url}/services/collector/event` : deps.url;

  const headers = {
    authorization: `Splunk ${token}`,
    ...(channel === null ? {} : { 'x-splunk-request-channel': channel }),
  };

  const wordsOf = (answer: Answer): string => withoutToken(verdictOf(answer)?.text ?? '', token);

  /** Waits until the indexers have what was sent. @throws ReaderFailure: it comes again */
  async function acknowledgement(ackId: number, of: string, turn: ReaderTurn): Promise<void> {
    const ask = `${url.replace(/\/event(\/1\.0)?$/, '')}/ack?channel=${of}`;
    for (let asked = 0; asked < ASKED; asked += 1) {
      mustBeSure(turn);
      const body = JSON.stringify({ acks: [ackId] });
      const answer = await post({ url: ask, headers, body, gzip: false, signal: turn.signal, now: deps.now });
      if (!isDone(answer)) throw failureOf(answer, wordsOf(answer));
      if (acknowledged.safeParse(parse(answer.body)).data?.acks[String(ackId)] === true) return;
      await sleep(askEveryMs, null, { signal: turn.signal });
    }
    throw new ReaderFailure('the indexers have not acknowledged what was sent; it is sent again');
  }

  function entry({ event, text }: AuditRecord): string {
    const about = { time: event.at / 1000, host, source: 'identree', sourcetype: 'identree:audit' };
    // The event as it is: what is hashed in it must not be written anew.
    return `${JSON.stringify(index === null ? about : { ...about, index }).slice(0, -1)},"event":${text}}`;
  }

  return {
    name: 'splunk_hec',
    batch: BATCH,
    everyMs: EVERY_MS,
    async deliver(records, turn) {
      const answer = await post({
        url,
        headers,
        body: records.map(entry).join('\n'),
        gzip: deps.gzip,
        signal: turn.signal,
        now: deps.now,
      });
      const said = verdictOf(answer);
      if (isDone(answer)) {
        // A portal or a proxy in front says 200 as well, and everything would count as kept that went nowhere.
        if (said?.code !== SUCCESS)
          throw new ReaderFailure(`the receiver answers ${answer.status}, but not as a collector does`, PAUSED);
        if (channel === null) return null;
        // A collector that gives no number would have everything count as kept that it has in memory only.
        if (said.ackId === undefined) throw new ReaderFailure('the token has no indexer acknowledgement', PAUSED);
        await acknowledgement(said.ackId, channel, turn);
        return null;
      }
      const reason = wordsOf(answer);
      if (answer.status === 413) return { at: null, reason: 'too large' };
      if (said?.code === BUSY) throw new ReaderFailure(`the receiver is busy: ${reason}`, { retryMs: answer.retryMs });
      if (answer.status === 400 && said !== null && BLAMES_EVENT.has(said.code))
        return { at: said['invalid-event-number'] ?? null, reason };
      throw failureOf(answer, reason);
    },
    async close() {},
  };
}
