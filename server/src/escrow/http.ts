import http from 'node:http';
import https from 'node:https';
import type { z } from 'zod';
import { EscrowFailure } from './backend.ts';

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
}

/** One exchange, nothing interpreted yet. @throws EscrowFailure */
export type Http = (request: HttpRequest) => Promise<{ status: number; body: string }>;

const TIMEOUT_MS = 30_000;
const MAX_BODY = 1024 * 1024;

/** Follows no redirect and asks no proxy, whatever the environment says: a secret goes where it was configured to go. */
export const systemHttp: Http = ({ method, url, headers, body }) =>
  new Promise((resolve, reject) => {
    const fail = (error: Error & { code?: string }) =>
      reject(error instanceof EscrowFailure ? error : new EscrowFailure(error.code ?? 'no connection'));
    const request = (url.startsWith('https:') ? https : http).request(url, {
      method,
      agent: false,
      headers: {
        accept: 'application/json',
        ...headers,
        ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      },
    });
    const limit = setTimeout(() => request.destroy(new EscrowFailure('no answer in 30 seconds')), TIMEOUT_MS);
    request.on('close', () => clearTimeout(limit));
    request.on('error', fail);
    // Node tells of it here and nowhere else: who does not listen waits for ever.
    request.on('upgrade', (_answer, socket) => {
      socket.destroy();
      fail(new EscrowFailure('the protocol was changed instead of an answer'));
    });
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_BODY) request.destroy(new EscrowFailure('the answer is too large'));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        if (!response.complete) return reject(new EscrowFailure('the answer was cut off'));
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
      });
    });
    request.end(body);
  });

export type Answer<T> = { ok: true; value: T } | { ok: false; status: number };

/** Speaks JSON with one service. A refusal is a value; what cannot be read is a failure. */
export function createJsonApi(deps: { http: Http; service: string }) {
  return async function call<T>(
    request: Omit<HttpRequest, 'body'> & { json?: unknown; form?: Record<string, string> },
    shape: z.ZodType<T>,
  ): Promise<Answer<T>> {
    const { json, form, ...rest } = request;
    const [type, body] =
      form === undefined
        ? ['application/json', json === undefined ? undefined : JSON.stringify(json)]
        : ['application/x-www-form-urlencoded', new URLSearchParams(form).toString()];
    const answer = await deps.http({
      ...rest,
      ...(body === undefined ? {} : { body }),
      headers: { ...(body === undefined ? {} : { 'content-type': type }), ...rest.headers },
    });
    if (answer.status < 200 || answer.status >= 300) return { ok: false, status: answer.status };
    let value: unknown = null;
    try {
      value = answer.body === '' ? null : JSON.parse(answer.body);
    } catch {
      throw new EscrowFailure(`${deps.service} does not answer with JSON`);
    }
    const parsed = shape.safeParse(value);
    if (!parsed.success) throw new EscrowFailure(`${deps.service} answers in an unknown shape`);
    return { ok: true, value: parsed.data };
  };
}

/** What an answer holds; a refusal is a failure. */
export function needed<T>(answer: Answer<T>, service: string, what: string): T {
  if (!answer.ok) throw new EscrowFailure(`${service} answers ${answer.status} to ${what}`);
  return answer.value;
}

/** The parts of a path, each as it may stand in an address. `..` and `.` would lead elsewhere. */
export function pathParts(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.some((part) => part === '.' || part === '..')) throw new EscrowFailure('the path leads elsewhere');
  return parts.map(encodeURIComponent);
}
