import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import ipaddr from 'ipaddr.js';

/** What of a request decides whether it may come in. */
export interface Arrival {
  remoteAddress: string | undefined;
  /** Names and values in turn, as Node gives `rawHeaders`. */
  rawHeaders: readonly string[];
  /** The request target as sent. */
  target: string;
}

export interface GuardRefusal {
  status: 400 | 403 | 421;
  message: string;
}

const FORWARDING =
  /^(forwarded|via|x-forwarded-.+|x-real-ip|x-client-ip|true-client-ip|cf-connecting-ip|x-original-.+|x-rewrite-url)$/i;

/**
 * Evaluation mode has sign-in without passwords, so it answers this machine's own browser only. A tunnel or proxy makes
 * strangers look local, and a web site whose name is pointed at 127.0.0.1 (DNS rebinding) makes the browser help it:
 * forwarding headers give away the one, the Host header the other.
 *
 * @param authority the one accepted Host, like `localhost:8090`.
 * @returns null when the request may come in.
 */
export function guardArrival(arrival: Arrival, authority: string): GuardRefusal | null {
  const { remoteAddress, rawHeaders, target } = arrival;
  const local =
    remoteAddress !== undefined &&
    ipaddr.isValid(remoteAddress) &&
    ipaddr.process(remoteAddress).range() === 'loopback';
  if (!local) return { status: 403, message: 'Evaluation mode answers this machine only.' };
  const hosts: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (FORWARDING.test(name)) {
      return { status: 400, message: `Evaluation mode does not work behind a proxy (${name.toLowerCase()} header).` };
    }
    if (name.toLowerCase() === 'host') hosts.push(rawHeaders[i + 1]!);
  }
  if (hosts.length !== 1 || hosts[0] !== authority || !target.startsWith('/')) {
    return { status: 421, message: `Evaluation mode lives at http://${authority} only.` };
  }
  return null;
}

/** Puts the guard in front of everything that a server would answer. */
export function guarded(authority: string, listener: RequestListener): RequestListener {
  return (request: IncomingMessage, response: ServerResponse) => {
    const refusal = guardArrival(
      { remoteAddress: request.socket.remoteAddress, rawHeaders: request.rawHeaders, target: request.url ?? '' },
      authority,
    );
    if (!refusal) return listener(request, response);
    response.writeHead(refusal.status, {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      connection: 'close',
    });
    response.end(`${refusal.message}\n`);
  };
}
