import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';

/** One answer. Header names are in lower case. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** Outbound GET, handed in. @throws TransportError, or the signal's reason. */
export type HttpGet = (
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
) => Promise<HttpAnswer>;

/** No usable answer. The message is for an operator and contains neither the key nor anything the other side sent. */
export class TransportError extends Error {}

const HEAD_TIMEOUT_MS = 10_000;
const BODY_TIMEOUT_MS = 30_000;
const MAX_BODY = 32 * 1024 * 1024;

/** Cloud metadata services hand out credentials to anyone who asks from inside. */
function isMetadataAddress(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  return (isIP(bare) === 4 && bare.startsWith('169.254.')) || bare.startsWith('fe80:') || bare === 'fd00:ec2::254';
}

/**
 * GET over HTTP/1.1 with four kept connections. Follows no redirect, bounds time and size.
 *
 * @param options.ca further certificate authorities in PEM.
 */
export function createHttpGet(options: { ca?: string | undefined; userAgent: string; maxBody?: number }): HttpGet {
  const pool = { keepAlive: true, maxSockets: 4, maxFreeSockets: 4 };
  const agents = {
    'http:': new http.Agent(pool),
    // No ALPN at all: a PocketID that ends TLS itself offers only "h2" and refuses clients that ask for HTTP/1.1 by
    // name, but speaks it to those that ask for nothing.
    'https:': new https.Agent({ ...pool, ALPNProtocols: [], ...(options.ca ? { ca: options.ca } : {}) }),
  };
  return (url, headers, signal) =>
    new Promise((resolve, reject) => {
      const target = new URL(url);
      if (isMetadataAddress(target.hostname)) {
        reject(new TransportError('link-local addresses are not asked'));
        return;
      }
      const { protocol } = target;
      if (protocol !== 'http:' && protocol !== 'https:') {
        reject(new TransportError('not an http(s) address'));
        return;
      }
      signal.throwIfAborted();
      const request = (protocol === 'https:' ? https : http).request(target, {
        method: 'GET',
        agent: agents[protocol],
        headers: { accept: 'application/json', 'user-agent': options.userAgent, ...headers },
        signal,
      });
      let timer = setTimeout(() => request.destroy(new TransportError('no answer in 10 seconds')), HEAD_TIMEOUT_MS);
      const fail = (error: Error & { code?: string }): void => {
        clearTimeout(timer);
        reject(
          signal.aborted || error instanceof TransportError ? error : new TransportError(error.code ?? 'no connection'),
        );
      };
      request.on('error', fail);
      // Node tells of it here and nowhere else: who does not listen waits for ever.
      request.on('upgrade', (_answer, socket) => {
        socket.destroy();
        fail(new TransportError('the protocol was changed instead of an answer'));
      });
      request.on('response', (response) => {
        clearTimeout(timer);
        timer = setTimeout(
          () => request.destroy(new TransportError('the answer took more than 30 seconds')),
          BODY_TIMEOUT_MS,
        );
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('error', fail);
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > (options.maxBody ?? MAX_BODY))
            request.destroy(new TransportError('the answer is larger than 32 MiB'));
          else chunks.push(chunk);
        });
        response.on('end', () => {
          clearTimeout(timer);
          if (!response.complete) {
            reject(new TransportError('the answer was cut off'));
            return;
          }
          const flat = Object.fromEntries(
            Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
          );
          resolve({ status: response.statusCode ?? 0, headers: flat, body: Buffer.concat(chunks).toString('utf8') });
        });
      });
      request.end();
    });
}
