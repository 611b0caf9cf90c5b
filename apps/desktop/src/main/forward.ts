import { ERRORS, type ErrorCode } from '#shared/errors.ts';
import { BodyTooLarge, readBounded } from './bounded-body.ts';
import type { Credential } from './credential-store.ts';
import type { HttpPort } from './ports.ts';
import type { Failure } from './reach.ts';

/** The largest body that the console may send, bytes; the same as the server's limit. */
const REQUEST_LIMIT = 32 * 1024;
/** The largest answer that is not a stream, bytes. */
const ANSWER_LIMIT = 8 * 1024 * 1024;
const ANSWER_TIMEOUT_MS = 30_000;
/** Live updates use one stream; a page that opens more than this is not ours any more. */
const MAX_STREAMS = 4;

/**
 * Headers of the renderer that mean something to the server. Everything else stays here: `Authorization` and `Cookie`
 * because the renderer has no credential to show, `Host`, `Origin` and forwarding headers because they would let it
 * speak as somebody else.
 */
const REQUEST_HEADERS = ['accept', 'content-type', 'last-event-id', 'trpc-accept'];
/** Headers of the server that mean something to the console; `Set-Cookie` above all is not among them. */
const ANSWER_HEADERS = ['retry-after'];

export interface ForwardRequest {
  method: string;
  /** Path and query, already checked against the list. */
  target: string;
  /** True for a stream of server-sent events. */
  stream: boolean;
  headers: Headers;
  body: ReadableStream<Uint8Array> | null;
  signal: AbortSignal;
  /** The procedures that are asked; empty for the plain event stream. */
  names: readonly string[];
}

/** The server no longer knows the credential that was sent, or (null) there is none any more. */
export type OnSessionEnded = (used: Credential | null) => void;

/**
 * Carries an allowed request of the console to the server of the profile, with the credential attached. When the
 * server does not answer, or what answers is not it, the console sees a failed connection, as it would in a browser.
 */
export function createForwarder(deps: {
  http: HttpPort;
  origin: string;
  credential: () => Credential | null;
  onSessionEnded: OnSessionEnded;
  userAgent: string;
  /** Told why the console sees a failed connection; it is not told itself. */
  onFailure?: (failure: Failure) => void;
}) {
  const streams = new Set<AbortController>();

  async function forward(request: ForwardRequest): Promise<Response> {
    const credential = deps.credential();
    if (!credential) {
      deps.onSessionEnded(null);
      return refusal('not_signed_in', request);
    }
    if (request.method === 'POST' && request.headers.get('content-type')?.split(';')[0] !== 'application/json') {
      return refusal('wrong_content_type', request);
    }
    let body: string | undefined;
    try {
      if (request.method === 'POST') body = (await readBounded(request, REQUEST_LIMIT)).toString('utf8');
    } catch (error) {
      return refusal(error instanceof BodyTooLarge ? 'body_too_large' : 'bad_request', request);
    }
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), ANSWER_TIMEOUT_MS);
    const onAbort = () => stop.abort();
    request.signal.addEventListener('abort', onAbort, { once: true });
    if (request.signal.aborted) onAbort();
    try {
      const answer = await deps.http.fetch(deps.origin + request.target, {
        method: request.method,
        headers: {
          ...pick(request.headers, REQUEST_HEADERS),
          authorization: `Bearer ${credential.secret}`,
          'user-agent': deps.userAgent,
        },
        ...(body === undefined ? {} : { body }),
        signal: stop.signal,
      });
      return await check(answer, request, credential, stop, timer);
    } catch (error) {
      stop.abort();
      deps.onFailure?.(error instanceof BodyTooLarge ? { kind: 'not_the_server' } : { kind: 'network', error });
      return Response.error();
    } finally {
      clearTimeout(timer);
    }
  }

  async function check(
    answer: Response,
    request: ForwardRequest,
    credential: Credential,
    stop: AbortController,
    timer: NodeJS.Timeout,
  ): Promise<Response> {
    const type = answer.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? '';
    const isStream = type === 'text/event-stream' && request.stream && answer.status === 200;
    // A redirect would carry the credential elsewhere; a page would be a proxy's or a portal's, shown as if it were ours.
    if (
      (answer.status >= 300 && answer.status < 400) ||
      answer.redirected ||
      (!isStream && type !== 'application/json')
    ) {
      stop.abort();
      deps.onFailure?.({ kind: 'not_the_server' });
      return Response.error();
    }
    const headers = {
      ...pick(answer.headers, ANSWER_HEADERS),
      'content-type': isStream ? 'text/event-stream; charset=utf-8' : 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    };
    if (isStream && answer.body) {
      clearTimeout(timer);
      return new Response(follow(answer.body, stop), { status: 200, headers });
    }
    const bytes = await readBounded(answer, ANSWER_LIMIT);
    if (saysSignedOut(answer.status, request.names, bytes)) deps.onSessionEnded(credential);
    return new Response(Uint8Array.from(bytes), { status: answer.status, headers });
  }

  /** Passes a stream on, and ends the server's side of it when the page goes away or opens too many. */
  function follow(source: ReadableStream<Uint8Array>, stop: AbortController): ReadableStream<Uint8Array> {
    streams.add(stop);
    const [oldest] = streams;
    if (oldest && streams.size > MAX_STREAMS) {
      streams.delete(oldest);
      oldest.abort();
    }
    const reader = source.getReader();
    const end = () => {
      streams.delete(stop);
      stop.abort();
    };
    return new ReadableStream<Uint8Array>({
      start(controller) {
        const onStop = () => {
          // Whatever becomes of the connection below: who reads would take what it knows for up to date for ever.
          controller.error(new TypeError('the connection to the server ended'));
          void reader.cancel().catch(() => {});
        };
        stop.signal.addEventListener('abort', onStop, { once: true });
        if (stop.signal.aborted) onStop();
      },
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          controller.close();
        } catch {
          // An error, not an end: the console must notice that it hears nothing any more and connect again.
          controller.error(new TypeError('the connection to the server ended'));
        }
        end();
      },
      cancel: end,
    });
  }

  return {
    forward,
    /** Ends every open stream: the page that read them is gone, or the person signed out. */
    endStreams() {
      for (const stop of streams) stop.abort();
      streams.clear();
    },
  };
}

function pick(headers: Headers, names: readonly string[]): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of names) {
    const value = headers.get(name);
    if (value !== null && value.length <= 1024) kept[name] = value;
  }
  return kept;
}

/** Does the answer say that nobody is signed in? `me.get` says so without an error, as null. */
function saysSignedOut(status: number, names: readonly string[], body: Buffer): boolean {
  if (status === 401) return true;
  if (status !== 200 || names.length !== 1 || names[0] !== 'me.get') return false;
  try {
    return (JSON.parse(body.toString('utf8')) as { result?: { data?: unknown } }).result?.data === null;
  } catch {
    return false;
  }
}

/** A refusal made by the shell, in the shape that the console reads from the server: tRPC's for procedures, else plain. */
export function refusal(code: ErrorCode, request: { names: readonly string[]; target: string }): Response {
  const [status, message] = ERRORS[code];
  const error = { message, code: -32603, data: { code: 'FORBIDDEN', httpStatus: status, reason: code } };
  const isBatch = /[?&]batch=1(&|$)/.test(request.target);
  const body =
    request.names.length === 0
      ? { error: { code, message } }
      : isBatch
        ? request.names.map(() => ({ error }))
        : { error };
  return Response.json(body, { status, headers: { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } });
}
