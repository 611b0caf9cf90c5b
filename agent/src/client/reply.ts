import { z } from 'zod';
import { terminalLine } from '#shared/visible-text.ts';
import { type Answer, TransportError } from './transport.ts';

/** What a call to the server came to. Only `ok` carries something to act on. */
export type Reply<T> =
  | { kind: 'ok'; value: T }
  /** The server said no, with its words. Unsigned, so good for a refusal only. */
  | { kind: 'refused'; status: number; code: string; message: string }
  /** Try again: no server there, a gateway without its server, a full server. */
  | {
      kind: 'unavailable';
      unreachable: boolean;
      /**
       * No server can be asked: none was there, or what answered has none behind it or is none in working order. Whatever
       * an attacker in between could make of a living one (a wrong certificate, a reset, silence after the connection was
       * made) is no outage.
       */
      outage: boolean;
      message: string;
    }
  /** What answered is not an identree server in working order. */
  | { kind: 'broken'; message: string }
  | { kind: 'aborted' };

/** Of an answer that says nothing beside that it is one. Made once: a schema costs more than what it reads. */
export const ANYTHING = z.unknown();

const errorBody = z.object({ error: z.object({ code: z.string().max(64), message: z.string() }) });

/** Refusals that pass by themselves. */
const PASSING = new Set(['unavailable', 'storage_full', 'storage_read_only', 'internal', 'rate_limited']);

/** What a body says; null when that has another shape. An empty one says null, which is all that some answers have to say. */
function parse<T>(body: Buffer, schema: z.ZodType<T>): { value: T } | null {
  try {
    const parsed = schema.safeParse(body.length === 0 ? null : JSON.parse(body.toString('utf8')));
    return parsed.success ? { value: parsed.data } : null;
  } catch {
    return null;
  }
}

/** Sorts an answer into what the caller can do about it. */
export function readReply<T>(answer: Answer, schema: z.ZodType<T>): Reply<T> {
  const { status } = answer;
  if (status >= 200 && status < 300) {
    const parsed = parse(answer.body, schema);
    return parsed === null
      ? { kind: 'broken', message: 'the answer does not have the expected shape' }
      : { kind: 'ok', value: parsed.value };
  }
  if (status >= 300 && status < 400) {
    return {
      kind: 'broken',
      message: 'the server redirects; IDENTREE_SERVER_URL in client.conf must name identree itself',
    };
  }
  const told = parse(answer.body, errorBody)?.value.error;
  const message = told ? terminalLine(told.message).slice(0, 500) : `the server answered ${status} without saying why`;
  if (told && !PASSING.has(told.code)) return { kind: 'refused', status, code: terminalLine(told.code), message };
  // 502, 503, 504 without a word from identree come from a proxy whose server is away.
  if (status >= 500 || status === 429 || status === 408) {
    const outage = [502, 503, 504].includes(status);
    return { kind: 'unavailable', unreachable: !told && outage, outage, message };
  }
  return { kind: 'refused', status, code: 'unexplained', message };
}

/** Sorts a failed exchange. @throws what is not a TransportError: a bug. */
export function readFailure(error: unknown): Reply<never> {
  if (!(error instanceof TransportError)) throw error;
  if (error.kind === 'aborted') return { kind: 'aborted' };
  const unreachable = error.kind === 'unreachable';
  return { kind: 'unavailable', unreachable, outage: unreachable, message: error.message };
}
