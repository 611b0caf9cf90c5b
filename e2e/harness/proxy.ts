import { createServer, type Server as HttpsServer, request as httpsRequest } from 'node:https';
import type { Certificates } from './lab.ts';
import { SERVER_NAME } from './lab.ts';

/** One exchange between a host and the server, as somebody in the middle sees it. */
export interface Exchange {
  method: string;
  path: string;
  requestHeaders: Record<string, string | string[] | undefined>;
  requestBody: string;
  status: number;
  /** Parsed JSON of the answer, or null. */
  json: Record<string, unknown> | null;
}

export type Tamper = (exchange: Exchange) => Promise<{ status?: number; json?: unknown } | undefined> | undefined;

/** Somebody who holds a valid certificate for the server's name and sits between hosts and the server. */
export interface Middleman {
  /** Everything that went by. */
  readonly seen: readonly Exchange[];
  /** Called with each answer; what it gives replaces the answer. `null`: pass everything on unchanged. */
  tamper(change: Tamper | null): void;
  /** Ends all connections, so that new ones are made. */
  reset(): void;
  close(): Promise<void>;
}

/** Starts the proxy at `address` in front of the server at `upstream`, both at `port`. */
export async function startProxy(options: {
  certs: Certificates;
  address: string;
  upstream: string;
  port: number;
}): Promise<Middleman> {
  const { certs, address, upstream, port } = options;
  const seen: Exchange[] = [];
  let change: Tamper | null = null;

  const server: HttpsServer = createServer({ cert: certs.cert, key: certs.key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const forward = httpsRequest(
        {
          host: upstream,
          port,
          servername: SERVER_NAME,
          ca: certs.ca,
          method: request.method,
          path: request.url,
          headers: request.headers,
        },
        (answer) => {
          const parts: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => parts.push(chunk));
          answer.on('end', () => {
            const original = Buffer.concat(parts);
            let json: Record<string, unknown> | null = null;
            try {
              json = JSON.parse(original.toString('utf8')) as Record<string, unknown>;
            } catch {
              // Not JSON: passed on as it is.
            }
            const exchange: Exchange = {
              method: request.method ?? '',
              path: request.url ?? '',
              requestHeaders: request.headers,
              requestBody: body.toString('utf8'),
              status: answer.statusCode ?? 0,
              json,
            };
            seen.push(exchange);
            void (async () => {
              const replaced = await change?.(exchange);
              const content = replaced?.json === undefined ? original : Buffer.from(JSON.stringify(replaced.json));
              const headers = { ...answer.headers, 'content-length': String(content.length) };
              delete headers['transfer-encoding'];
              response.writeHead(replaced?.status ?? exchange.status, headers);
              response.end(content);
            })().catch((error: unknown) => {
              response.destroy(error as Error);
            });
          });
        },
      );
      forward.on('error', () => response.destroy());
      response.on('close', () => forward.destroy());
      forward.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(port, address, resolve));

  return {
    seen,
    tamper: (next) => {
      change = next;
    },
    reset: () => server.closeAllConnections(),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
