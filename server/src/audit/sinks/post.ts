import http from 'node:http';
import https from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { ReaderFailure } from '../../events/readers.ts';

const TIMEOUT_MS = 15_000;
const MAX_ANSWER = 64 * 1024;
/** Somebody has to mend it; until then it is asked seldom, milliseconds. */
export const PAUSED_MS = 60_000;

export interface Answer {
  status: number;
  body: string;
  /** When the receiver wants to be asked again, milliseconds; null: it does not say. */
  retryMs: number | null;
}

/** `Retry-After`: seconds or a date (RFC 9110, 10.2.3). Null: neither. */
export function retryAfter(value: string | undefined, now: number): number | null {
  if (value === undefined) return null;
  if (/^[0-9]{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/**
 * One exchange, nothing interpreted. It follows no redirect and asks no proxy: events and tokens go where they were
 * configured to go.
 */
export async function post(request: {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  /** Whether the body is sent compressed. */
  gzip: boolean;
  signal: AbortSignal;
  now: () => number;
}): Promise<Answer> {
  const { url, signal } = request;
  const body = request.gzip ? await promisify(gzip)(request.body) : Buffer.from(request.body);
  return new Promise((resolve, reject) => {
    const sent = (url.startsWith('https:') ? https : http).request(url, {
      method: 'POST',
      agent: false,
      signal,
      headers: {
        'content-type': 'application/json',
        ...(request.gzip ? { 'content-encoding': 'gzip' } : {}),
        'content-length': String(body.length),
        ...request.headers,
      },
    });
    const limit = setTimeout(() => sent.destroy(new Error('no answer in 15 seconds')), TIMEOUT_MS);
    sent.on('close', () => clearTimeout(limit));
    sent.on('error', reject);
    // Node tells of it here and nowhere else: who does not listen waits for ever.
    sent.on('upgrade', (_answer, socket) => {
      socket.destroy();
      reject(new Error('the receiver changed the protocol instead of answering'));
    });
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('error', reject);
      response.on('data', (chunk: string) => {
        // The beginning says what is wrong.
        if (text.length < MAX_ANSWER) text += chunk;
      });
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          body: text,
          retryMs: retryAfter(response.headers['retry-after'], request.now()),
        }),
      );
    });
    sent.end(body);
  });
}

export const isDone = ({ status }: Answer): boolean => status >= 200 && status < 300;

/**
 * What is to be done about an answer that takes nothing and blames no event. Tokens and addresses are an operator's to mend;
 * everything else passes.
 */
export function failureOf({ status, retryMs }: Answer, said: string): ReaderFailure {
  const passes = status === 408 || status === 425 || status === 429 || status >= 500;
  const message = `the receiver answers ${status}${said === '' ? '' : `: ${said.slice(0, 200)}`}`;
  return passes
    ? new ReaderFailure(message, { retryMs })
    : new ReaderFailure(message, { retryMs: PAUSED_MS, paused: true });
}
