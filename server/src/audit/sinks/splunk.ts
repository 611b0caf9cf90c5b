import { z } from 'zod';
import { ReaderFailure } from '../../events/readers.ts';
import type { AuditRecord } from '../record.ts';
import type { AuditSink } from '../sink.ts';
import { type Answer, failureOf, isDone, post } from './post.ts';

const BATCH = 100;
const EVERY_MS = 5000;

/** What the HTTP Event Collector says; its codes are in Splunk's manual. */
const verdict = z.object({ text: z.string(), code: z.int(), 'invalid-event-number': z.int().optional() });

/** Codes that blame an event: invalid data format, no event, an empty one. */
const BLAMES_EVENT = new Set([6, 12, 13]);
const BUSY = 9;

function verdictOf({ body }: Answer): z.infer<typeof verdict> | null {
  try {
    return verdict.parse(JSON.parse(body));
  } catch {
    return null;
  }
}

/**
 * Splunk's HTTP Event Collector.
 *
 * @param deps.host name of this machine
 * @param deps.now milliseconds since the epoch
 */
export function createSplunk(deps: {
  url: string;
  token: string;
  index: string | null;
  gzip: boolean;
  host: string;
  now: () => number;
}): AuditSink {
  const { token, index, host } = deps;
  const url = new URL(deps.url).pathname === '/' ? `${deps.url}/services/collector/event` : deps.url;

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
        headers: { authorization: `Splunk ${token}` },
        body: records.map(entry).join('\n'),
        gzip: deps.gzip,
        signal: turn.signal,
        now: deps.now,
      });
      if (isDone(answer)) return null;
      const said = verdictOf(answer);
      const reason = said?.text ?? '';
      if (answer.status === 413) return { at: null, reason: 'too large' };
      if (said?.code === BUSY) throw new ReaderFailure(`the receiver is busy: ${reason}`, { retryMs: answer.retryMs });
      if (answer.status === 400 && said !== null && BLAMES_EVENT.has(said.code))
        return { at: said['invalid-event-number'] ?? null, reason };
      throw failureOf(answer, reason);
    },
    async close() {},
  };
}
