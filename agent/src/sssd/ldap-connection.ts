import net from 'node:net';
import tls from 'node:tls';
import {
  type Answer,
  bindRequest,
  type LdapResult,
  MESSAGE_LIMIT,
  readAnswer,
  type Search,
  searchRequest,
  startTlsRequest,
  unbindRequest,
} from './ldap-wire.ts';

/** How the directory is reached. */
export interface Endpoint {
  host: string;
  port: number;
  /** TLS from the first octet, after StartTLS, or never. */
  security: 'ldaps' | 'starttls' | 'plain';
  /** Authorities that may sign its certificate, PEM. Nothing else is trusted. */
  ca: string;
  /** PEM. */
  client: { certificate: string; key: string } | null;
}

/** The directory ended the conversation by itself, with or without a word. */
export class Disconnected extends Error {}

/** The other end hung up in the middle of the TLS handshake, without the alert that TLS has for it. */
export class HandshakeBroken extends Error {}

/** An exchange has this long. */
const PATIENCE_MS = 10_000;

export interface LdapConnection {
  bind(dn: string, password: string): Promise<LdapResult>;
  search(search: Search): Promise<{ entries: Extract<Answer, { kind: 'entry' }>[]; result: LdapResult }>;
  close(): void;
}

interface Pending {
  id: number;
  entries: Extract<Answer, { kind: 'entry' }>[];
  done(result: LdapResult): void;
  fail(error: Error): void;
}

/** Reads answers off a socket; one request at a time. */
function createExchange(socket: net.Socket) {
  let bytes = Buffer.alloc(0);
  let pending: Pending | null = null;
  let broken: Error | null = null;
  const fail = (error: Error) => {
    broken ??= error;
    pending?.fail(broken);
    pending = null;
  };
  const onData = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    try {
      for (let read = readAnswer(bytes); read !== null; read = readAnswer(bytes)) {
        bytes = bytes.subarray(read.size);
        const { answer } = read;
        if (answer.kind === 'result' && answer.id === 0) fail(new Disconnected(answer.result.message));
        if (pending === null || answer.id !== pending.id) continue;
        if (answer.kind === 'entry') pending.entries.push(answer);
        if (pending.entries.length > 128) throw new Error('the directory sends more than was asked for');
        if (answer.kind !== 'result') continue;
        pending.done(answer.result);
        pending = null;
      }
      if (bytes.length > MESSAGE_LIMIT + 8) throw new Error('the directory sends more than was asked for');
    } catch (error) {
      fail(error as Error);
      socket.destroy();
    }
  };
  const ended = () => fail(new Disconnected(''));
  socket.on('data', onData);
  socket.on('error', fail);
  socket.on('close', ended);
  let lastId = 0;
  return {
    ask: (request: (id: number) => Buffer): Promise<Pick<Pending, 'entries'> & { result: LdapResult }> =>
      new Promise((resolve, reject) => {
        if (broken !== null) return reject(broken);
        const timer = setTimeout(() => fail(new Error('the directory does not answer')), PATIENCE_MS);
        const id = ++lastId;
        const entries: Pending['entries'] = [];
        const settle = (work: () => void) => {
          clearTimeout(timer);
          work();
        };
        pending = {
          id,
          entries,
          done: (result) => settle(() => resolve({ entries, result })),
          fail: (error) => settle(() => reject(error)),
        };
        socket.write(request(id));
      }),
    /** Leaves the socket to another reader. */
    release() {
      socket.off('data', onData);
      socket.off('error', fail);
      socket.off('close', ended);
    },
    nextId: () => ++lastId,
  };
}

function dial(endpoint: Endpoint): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: endpoint.host, port: endpoint.port });
    const timer = setTimeout(
      () => socket.destroy(Object.assign(new Error('the connection could not be made in time'), { code: 'ETIMEDOUT' })),
      PATIENCE_MS,
    );
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/** TLS as sssd does it with `ldap_tls_reqcert = demand`: our authorities, the name in the URL, our certificate. */
function secure(endpoint: Endpoint, raw: net.Socket): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      socket: raw,
      // Who it has to be. With a socket of our own, Node compares the certificate with `host` all the same.
      host: endpoint.host,
      ...(net.isIP(endpoint.host) === 0 ? { servername: endpoint.host } : {}),
      ca: endpoint.ca,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      ...(endpoint.client ? { cert: endpoint.client.certificate, key: endpoint.client.key } : {}),
    });
    const timer = setTimeout(() => socket.destroy(new Error('the TLS handshake took too long')), PATIENCE_MS);
    const failed = (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(error.code === 'ECONNRESET' || error.code === 'EPIPE' ? new HandshakeBroken() : error);
    };
    const closed = () => failed(new HandshakeBroken());
    socket.once('error', failed);
    socket.once('close', closed);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.off('error', failed);
      socket.off('close', closed);
      resolve(socket);
    });
  });
}

/** StartTLS was refused. */
export class StartTlsRefused extends Error {}

/** Connects. @throws what the layer that failed has to say: a system error, one of TLS, or one of the above. */
export async function connectLdap(endpoint: Endpoint): Promise<LdapConnection> {
  let socket = await dial(endpoint);
  try {
    if (endpoint.security === 'starttls') {
      const clear = createExchange(socket);
      const { result } = await clear.ask(startTlsRequest);
      if (result.code !== 0) throw new StartTlsRefused(result.message);
      clear.release();
    }
    if (endpoint.security !== 'plain') socket = await secure(endpoint, socket);
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    throw error;
  }
  const exchange = createExchange(socket);
  return {
    bind: async (dn, password) => (await exchange.ask((id) => bindRequest(id, dn, password))).result,
    search: (search) => exchange.ask((id) => searchRequest(id, search)),
    close() {
      socket.end(unbindRequest(exchange.nextId()));
      setTimeout(() => socket.destroy(), 1000).unref();
    },
  };
}

/** What a certificate says of itself that could not be verified. For words to a person; nothing is sent or believed. */
export function lookAtCertificate(endpoint: Endpoint): Promise<{ issuer: string; names: string } | null> {
  if (endpoint.security !== 'ldaps') return Promise.resolve(null);
  return new Promise((resolve) => {
    const socket = tls.connect({
      host: endpoint.host,
      port: endpoint.port,
      ...(net.isIP(endpoint.host) === 0 ? { servername: endpoint.host } : {}),
      rejectUnauthorized: false,
      ...(endpoint.client ? { cert: endpoint.client.certificate, key: endpoint.client.key } : {}),
    });
    const finish = (found: { issuer: string; names: string } | null) => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(PATIENCE_MS, () => finish(null));
    socket.on('error', () => finish(null));
    socket.on('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      if (certificate === undefined) return finish(null);
      const names = certificate.subjectAltName ?? certificate.subject.replaceAll('\n', ', ');
      finish({ issuer: certificate.issuer.replaceAll('\n', ', '), names });
    });
  });
}
