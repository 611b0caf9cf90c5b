import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { HttpPort } from '../ports.ts';

export interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

/** What a server says to who is not signed in, when it is asked who that is. For tests. */
export const NOBODY = '{"result":{"data":null}}';

/**
 * The desktop's part of a server over real HTTP, with everything that it was sent. For tests.
 *
 * @param tls certificate and key, PEM, of one that is asked over TLS
 */
export async function startFakeServer(
  answer: (request: Seen, response: ServerResponse) => void = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  },
  tls?: { cert: string; key: string },
) {
  const seen: Seen[] = [];
  const codes = new Map<string, string>();
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = '', url = '', headers } = request;
    const one = { method, url, headers, body: Buffer.concat(chunks).toString('utf8') };
    seen.push(one);
    if (url === '/trpc/me.get' && headers.authorization === undefined) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(NOBODY);
      return;
    }
    if (url !== '/api/desktop/token') return answer(one, response);
    const { code, code_verifier: verifier } = JSON.parse(one.body) as Record<string, string>;
    const challenge = codes.get(code ?? '');
    codes.delete(code ?? '');
    const matches =
      challenge ===
      createHash('sha256')
        .update(verifier ?? '')
        .digest('base64url');
    response.writeHead(matches ? 200 : 401, { 'content-type': 'application/json' });
    const grant = { credential: `fake-credential-${'x'.repeat(32)}`, expiresAt: Date.now() + 3_600_000 };
    response.end(JSON.stringify(matches ? grant : { error: { code: 'not_signed_in', message: 'Sign in first.' } }));
  };
  const tlsServer = tls ? createTlsServer(tls, listener) : null;
  const server = tlsServer ?? createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    // `localhost`, because the shell accepts plain HTTP for that name alone.
    origin: `${tls ? 'https' : 'http'}://localhost:${port}`,
    port,
    seen,
    /** Shows another certificate from now on, to all anew. */
    showCertificate(next: { cert: string; key: string }): void {
      tlsServer?.setSecureContext(next);
      server.closeAllConnections();
    },
    /** What the consent page does: a single-use code, bound to the PKCE challenge. */
    consent(codeChallenge: string): string {
      const code = randomBytes(24).toString('base64url');
      codes.set(code, codeChallenge);
      return code;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The HTTP port over Node's own client. */
export const nodeHttp: HttpPort = { fetch: (url, init) => fetch(url, { ...init, redirect: 'manual' }) };
