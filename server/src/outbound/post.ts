import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

/** How long a receiver has unless it is said, milliseconds. */
const TIMEOUT_MS = 15_000;
const MAX_ANSWER = 64 * 1024;

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
  // Node reads -5 and 1.5 as days of 2001, and whoever says so would be asked again at once.
  const date = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

export interface PostRequest {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string | Buffer;
  /** Whether the body is sent compressed. */
  gzip?: boolean;
  signal: AbortSignal;
  /** How long there may be no whole answer, milliseconds; 15 seconds unless given. */
  timeoutMs?: number;
  now: () => number;
  /** Finds the addresses of the name in the URL; an address in it is dialled as it is. The system's unless given. */
  lookup?: LookupFunction;
}

/**
 * One exchange, nothing interpreted. It follows no redirect and asks no proxy, whatever the environment says: events and
 * tokens go where they were configured to go. Rejects when there is no answer in time.
 */
export async function post(request: PostRequest): Promise<Answer> {
  const { url, signal, lookup, timeoutMs = TIMEOUT_MS } = request;
  const body = request.gzip ? await promisify(gzip)(request.body) : Buffer.from(request.body);
  return new Promise((resolve, reject) => {
    const sent = (url.startsWith('https:') ? https : http).request(url, {
      method: 'POST',
      agent: false,
      signal,
      ...(lookup ? { lookup } : {}),
      headers: {
        'content-type': 'application/json',
        ...(request.gzip ? { 'content-encoding': 'gzip' } : {}),
        'content-length': String(body.length),
        ...request.headers,
      },
    });
    const limit = setTimeout(() => sent.destroy(new Error(`no answer in ${timeoutMs / 1000} seconds`)), timeoutMs);
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
      const done = () =>
        resolve({
          status: response.statusCode ?? 0,
          body: text,
          retryMs: retryAfter(response.headers['retry-after'], request.now()),
        });
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length < MAX_ANSWER) return;
        // The beginning says what is wrong. Whoever sends more would keep this server reading for as long as it has patience.
        done();
        sent.destroy();
      });
      response.on('end', done);
    });
    sent.end(body);
  });
}

export const isDone = ({ status }: Answer): boolean => status >= 200 && status < 300;
