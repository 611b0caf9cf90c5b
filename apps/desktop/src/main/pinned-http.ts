import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { isIP } from 'node:net';
import { Readable } from 'node:stream';
import { connect } from 'node:tls';
import type { CertificatesPort, HttpInit, HttpPort } from './ports.ts';
import { OtherCertificate } from './reach.ts';
import { hostOf } from './server-certificate.ts';

/**
 * What is vouched for by this certificate alone: it may be the server's own, or of the authority that issued it. That
 * anything is refused at all is said here: else a variable of the person's environment could have all of it taken.
 */
const onlyBy = (pin: string) => ({
  ca: [pin],
  allowPartialTrustChain: true,
  rejectUnauthorized: true,
  minVersion: 'TLSv1.2' as const,
});

/** Codes of a certificate that is in order but for who vouches for it. */
const NOT_VOUCHED =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(GET_ISSUER_CERT(_LOCALLY)?|VERIFY_LEAF_SIGNATURE)|CERT_(SIGNATURE_FAILURE|CHAIN_TOO_LONG|UNTRUSTED|REJECTED)|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED)$/;

/**
 * The HTTP port of all servers: those with a certificate of their own are asked by a client that knows this one
 * certificate and no authority of the system, all others by `open`. What that one refuses is never overruled, so no
 * agreement about one server can open anything for another.
 */
export function createPinnedHttp(deps: { open: HttpPort; pinOf: (origin: string) => string | null }): HttpPort {
  const agent = new Agent({ keepAlive: true, maxSockets: 32, maxCachedSessions: 0 });
  return {
    async fetch(url, init) {
      const pin = deps.pinOf(new URL(url).origin);
      return pin === null ? deps.open.fetch(url, init) : ask(agent, url, init, pin);
    },
  };
}

function ask(agent: Agent, url: string, init: HttpInit, pin: string): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { method, headers, signal } = init;
    const options = { ...onlyBy(pin), agent, method, headers: { ...headers, 'accept-encoding': 'identity' }, signal };
    const sent = request(url, options, (incoming) => {
      try {
        resolve(responseOf(incoming));
      } catch (error) {
        incoming.destroy();
        reject(error);
      }
    });
    sent.once('error', (error: NodeJS.ErrnoException) =>
      reject(NOT_VOUCHED.test(error.code ?? '') ? new OtherCertificate(error) : error),
    );
    // Without an answer and without an error: it offered another protocol, which nobody here wants.
    sent.once('close', () => reject(new Error('the connection ended without an answer')));
    sent.end(init.body);
  });
}

function responseOf(incoming: IncomingMessage): Response {
  const headers = new Headers();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    headers.append(incoming.rawHeaders[i]!, incoming.rawHeaders[i + 1]!);
  }
  const status = incoming.statusCode ?? 0;
  const isEmpty = [204, 205, 304].includes(status);
  if (isEmpty) incoming.resume();
  const body = isEmpty ? null : (Readable.toWeb(incoming) as ReadableStream<Uint8Array>);
  return new Response(body, { status, headers });
}

/** Looks at what a server shows, over a connection on which nothing is sent. */
export const tlsCertificates: CertificatesPort = {
  look: (origin, pin) =>
    new Promise((resolve) => {
      const host = hostOf(origin);
      const socket = connect({
        host,
        port: Number(new URL(origin).port || 443),
        ...(isIP(host) ? {} : { servername: host }),
        ...(pin === null ? {} : onlyBy(pin)),
        // To look at it is all that this connection is for; whether it is vouched for is asked below.
        rejectUnauthorized: false,
        timeout: LOOK_MS,
      });
      const end = (result: Awaited<ReturnType<CertificatesPort['look']>>) => {
        clearTimeout(timer);
        socket.destroy();
        resolve(result);
      };
      const timer = setTimeout(() => end(null), LOOK_MS);
      socket.once('error', () => end(null));
      socket.once('close', () => end(null));
      socket.once('secureConnect', () => {
        const pem = socket.getPeerX509Certificate()?.toString();
        end(pem === undefined ? null : { pem, isVouchedFor: pin !== null && socket.authorized });
      });
    }),
};

const LOOK_MS = 5000;
