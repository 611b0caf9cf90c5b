import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { onlyTrusted, systemTrusted, type Trusted, UNKNOWN_ISSUER } from './trusted.ts';

/** One exchange with the server, nothing interpreted yet. */
export interface Answer {
  status: number;
  contentType: string;
  body: Buffer;
}

/** The exchange did not happen or did not finish. */
export class TransportError extends Error {
  /**
   * `unreachable`: no server was there (name, route, refused connection). `broken`: one was, and the exchange failed;
   * an attacker who can stall or garble a connection must not pass for an outage.
   */
  readonly kind: 'unreachable' | 'broken' | 'aborted';

  constructor(kind: 'unreachable' | 'broken' | 'aborted', message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface TransportRequest {
  method: string;
  /** Path and query below the server URL. */
  path: string;
  headers: Record<string, string>;
  body: Uint8Array;
  /** Whole exchange, milliseconds. */
  timeoutMs: number;
  signal?: AbortSignal;
}

export interface Transport {
  request(request: TransportRequest): Promise<Answer>;
  /**
   * Dials while nothing is asked yet, unless a connection is there already: servers and what stands before them let go of
   * those that are idle, and whoever asks seldom would wait for a new one each time.
   */
  dialAhead(): void;
  close(): void;
}

/** An answer larger than this is not read: a large approver-key set fits, a flood does not. */
export const ANSWER_LIMIT = 1024 * 1024;

/** How long a connection that is not made is waited for. */
export const CONNECT_TIMEOUT_MS = 5000;

/** Why no connection was made. This host's own firewall says EACCES or EPERM; without an address of its own it is EADDRNOTAVAIL. */
const UNREACHABLE_CODES = new Set([
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'EHOSTDOWN', 'ENOENT', 'ETIMEDOUT'],
  ...['EACCES', 'EPERM', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL'],
]);
const NAME_CODES = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME', 'ENODATA']);
const NOT_MADE = 'ETIMEDOUT: the connection could not be made in time';

/** The certificate of the server is of nobody who is trusted. */
class UnknownIssuer extends TransportError {}

/** What a failure to ask says about whether a server is there. */
export function classify(error: Error): TransportError {
  if (error instanceof TransportError) return error;
  // Happy eyeballs reports one error per address; the first tells why.
  const each: NodeJS.ErrnoException[] = error instanceof AggregateError ? error.errors : [error];
  const first = each[0] ?? (error as NodeJS.ErrnoException);
  const code = first.code ?? '';
  if (UNKNOWN_ISSUER.has(code)) return new UnknownIssuer('broken', `${code}: ${first.message}`);
  // One address with somebody behind it is enough: the server is there.
  const unreachable = each.length > 0 && each.every(isNobodyThere);
  return new TransportError(unreachable ? 'unreachable' : 'broken', code ? `${code}: ${first.message}` : first.message);
}

function isNobodyThere(error: NodeJS.ErrnoException): boolean {
  const code = error.code ?? '';
  const dialling = error.syscall === 'connect' && UNREACHABLE_CODES.has(code);
  return dialling || NAME_CODES.has(code);
}

/** @param ca PEM that replaces the system's authorities. */
export const trustedOf = (ca: string | null): Trusted => (ca === null ? systemTrusted() : onlyTrusted(ca));

/**
 * HTTP to one server over a pool of warm connections. No redirects, no proxies, no certificate exceptions, whatever the
 * environment says: sudo's caller would otherwise choose who answers.
 *
 * @param options.ca PEM that replaces the system's authorities.
 * @param options.trusted the same for several, so that they are not kept twice.
 */
export function createTransport(
  options: { serverUrl: string } & ({ ca: string | null } | { trusted: Trusted }),
): Transport {
  const base = new URL(options.serverUrl);
  const below = base.pathname.replace(/\/+$/, '');
  const secure = base.protocol === 'https:';
  const trusted = 'trusted' in options ? options.trusted : trustedOf(options.ca);
  // A long poll holds its connection, so the pool must be larger than the number of people who wait at once.
  const pool = {
    keepAlive: true,
    keepAliveMsecs: 10_000,
    maxSockets: 1024,
    maxFreeSockets: 8,
    scheduling: 'lifo' as const,
  };
  // Not the agent's `ca`: it would become part of the name that is made for every request, half a megabyte of it.
  /** Whether nobody more is trusted, whatever comes. */
  let trustsAll = !secure || trusted.most() === null;
  const secureAgent = secure
    ? new https.Agent({ ...pool, secureContext: trusted.most() ?? trusted.all(), rejectUnauthorized: true })
    : null;
  const agent = secureAgent ?? new http.Agent(pool);

  // All connections lead to the same server. Node would put the name of a connection together from 25 options, twice for
  // each request.
  agent.getName = () => base.host;

  const dial = agent.createConnection.bind(agent);
  /** How the last connection was made: all of them lead to the same server. */
  let lastWanted: Parameters<typeof dial>[0] | null = null;
  let spare: Duplex | null = null;
  const shakingHands = new WeakSet<object>();
  function forget(this: Duplex): void {
    if (spare === this) spare = null;
  }

  /**
   * The spare connection, if it is of use. A server that has waited too long for a request answers none: with 408, which
   * would be taken for the answer to ours.
   */
  function takeSpare(): Duplex | null {
    const dialled = spare;
    if (dialled === null) return null;
    spare = null;
    if (dialled.readableLength > 0) {
      dialled.destroy();
      return null;
    }
    dialled.off('error', forget).off('close', forget);
    return dialled;
  }

  agent.createConnection = (wanted, created) => {
    lastWanted = wanted;
    return takeSpare() ?? dial(wanted, created);
  };

  function dialAhead(): void {
    const idle = Object.values(agent.freeSockets).some((sockets) => sockets !== undefined && sockets.length > 0);
    if (idle || lastWanted === null) return;
    if (spare !== null && spare.readableLength === 0) return;
    takeSpare();
    // Whoever asks finds out by a connection of its own why there is none.
    const dialled = dial(lastWanted);
    if (!dialled) return;
    spare = dialled.on('error', forget).on('close', forget);
    shakingHands.add(dialled);
    dialled.once(secure ? 'secureConnect' : 'connect', () => shakingHands.delete(dialled));
  }

  function exchange(request: TransportRequest): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => reject(classify(error));
      if (request.signal?.aborted) return fail(new TransportError('aborted', 'cancelled'));
      const outgoing = (secure ? https : http).request({
        agent,
        protocol: base.protocol,
        hostname: base.hostname.replace(/^\[(.*)\]$/, '$1'),
        port: base.port || (secure ? 443 : 80),
        method: request.method,
        path: `${below}${request.path}`,
        headers: { ...request.headers, 'content-length': request.body.length, accept: 'application/json' },
      });
      const stop = (error: TransportError) => outgoing.destroy(error);
      let connected = false;
      // Where packets vanish, a short call runs out while it still waits for a connection.
      const whole = setTimeout(
        () =>
          stop(
            connected
              ? new TransportError('broken', 'the server did not answer in time')
              : new TransportError('unreachable', NOT_MADE),
          ),
        request.timeoutMs,
      );
      let dialling: NodeJS.Timeout | undefined;
      const onAbort = () => stop(new TransportError('aborted', 'cancelled'));
      request.signal?.addEventListener('abort', onAbort, { once: true });
      const done = () => {
        clearTimeout(whole);
        clearTimeout(dialling);
        request.signal?.removeEventListener('abort', onAbort);
      };
      outgoing.on('socket', (socket) => {
        socket.setNoDelay(true);
        connected = !socket.connecting;
        if (connected && !shakingHands.has(socket)) return;
        socket.once('connect', () => {
          connected = true;
        });
        // Somebody who takes the connection and then says nothing is no outage: an attacker can do that.
        dialling = setTimeout(
          () => stop(new TransportError(connected ? 'broken' : 'unreachable', NOT_MADE)),
          CONNECT_TIMEOUT_MS,
        );
        socket.once(secure ? 'secureConnect' : 'connect', () => clearTimeout(dialling));
      });
      outgoing.on('error', (error) => {
        done();
        fail(error);
      });
      // Node tells of it here and nowhere else: who does not listen waits for ever.
      outgoing.on('upgrade', (_answer, socket) => {
        socket.destroy();
        done();
        fail(new TransportError('broken', 'the server changed the protocol instead of answering'));
      });
      outgoing.on('response', (incoming) => {
        const chunks: Buffer[] = [];
        let size = 0;
        incoming.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > ANSWER_LIMIT) stop(new TransportError('broken', 'the answer is too large'));
          else chunks.push(chunk);
        });
        incoming.on('error', (error) => {
          done();
          fail(error);
        });
        incoming.on('end', () => {
          done();
          if (!incoming.complete) return fail(new TransportError('broken', 'the answer was cut off'));
          resolve({
            status: incoming.statusCode ?? 0,
            contentType: String(incoming.headers['content-type'] ?? ''),
            body: Buffer.concat(chunks),
          });
        });
      });
      outgoing.end(request.body);
    });
  }

  function trustAll(): void {
    if (trustsAll || secureAgent === null) return;
    trustsAll = true;
    secureAgent.options.secureContext = trusted.all();
    // Made with what was trusted before.
    takeSpare()?.destroy();
    lastWanted = null;
  }

  /** Nothing was sent to one whose issuer is not known. */
  async function request(asked: TransportRequest): Promise<Answer> {
    const isLast = trustsAll;
    try {
      return await exchange(asked);
    } catch (error) {
      if (isLast || !(error instanceof UnknownIssuer)) throw error;
      trustAll();
      return exchange(asked);
    }
  }

  return {
    request,
    dialAhead,
    close() {
      spare?.destroy();
      agent.destroy();
    },
  };
}
