import { constants } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { LISTENER_TLS } from '../platform/listener-tls.ts';
import { readClientCertificate } from './client-certificate.ts';
import { createEngine } from './engine/engine.ts';
import { RESULT } from './protocol/operation.ts';
import { disconnectionNotice } from './protocol/response.ts';
import { type ContextDeps, createContext } from './session/context.ts';
import { createSession, dismiss, enforceTime, forget, recheck, secured } from './session/lifetime.ts';
import { createPeer } from './session/pace.ts';
import { publish } from './session/publish.ts';
import { receive, resumeOutput } from './session/receive.ts';
import { hangUp } from './session/respond.ts';
import { isAuthorised, type Peer, type Session } from './session/session.ts';
import { reject, type Stats } from './session/stats.ts';
import type { Snapshot } from './snapshot/snapshot.ts';
import { createSocketTransport, destroyLater, type SocketTransport } from './socket-transport.ts';

/** Certificate of the server and what it asks of clients. All in PEM. */
export interface TlsSettings {
  certificate: string;
  key: string;
  /** CAs that sign client certificates; empty: none are asked for. */
  clientCa: readonly string[];
  /** `required`: no connection without a certificate of `clientCa`. */
  clientCertificates: 'off' | 'optional' | 'required';
}

export interface ListenAddress {
  host: string;
  /** 0: any free port. */
  port: number;
  /** TLS from the first octet (ldaps); else plain, with StartTLS when a certificate is configured. */
  tls: boolean;
}

export interface DirectoryServerDeps extends ContextDeps {
  tls: TlsSettings | null;
}

/** The LDAP server of one thread. */
export interface DirectoryServer {
  /** Opens a listener. @returns the port. Rejects when the address cannot be had. */
  listen(address: ListenAddress): Promise<number>;
  /** Answers from this snapshot from now on; searches under way finish on the one they began with. */
  publish(snapshot: Snapshot | null): void;
  /** Asks the credential checker about every identity that is connected. */
  recheck(): Promise<void>;
  /** Uses this certificate for new connections. */
  setTls(tls: TlsSettings): void;
  stats(): Stats;
  /** Says goodbye to every client and stops listening. */
  close(): Promise<void>;
}

const noop = (): void => {};
const addressOf = (socket: Socket): string => (socket.remoteAddress ?? 'unknown').replace(/^::ffff:/, '');
/** Names a connection, whichever of its two sockets is asked. */
const keyOf = (socket: Socket): string =>
  `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;

export function createDirectoryServer(deps: DirectoryServerDeps): DirectoryServer {
  const { settings } = deps;
  const { limits } = settings;
  const context = createContext(deps);
  context.tlsAvailable = deps.tls !== null;
  const { sessions } = context;
  const peers = new Map<string, Peer>();
  const listeners: Server[] = [];
  /** Connections in the middle of a TLS handshake. */
  const handshakes = new Map<string, { session: Session; transport: SocketTransport; raw: Socket }>();
  /** What is to be done when a connection is gone. */
  const leavings = new Map<Session, () => void>();
  let tlsServer: TlsServer | null = deps.tls === null ? null : acceptTls(deps.tls);

  function acceptTls(tls: TlsSettings): TlsServer {
    const asks = tls.clientCertificates !== 'off';
    const server = createTlsServer({
      cert: tls.certificate,
      key: tls.key,
      ...(asks ? { ca: [...tls.clientCa] } : {}),
      requestCert: asks,
      rejectUnauthorized: tls.clientCertificates === 'required',
      ...LISTENER_TLS,
      // A resumed session would carry a certificate that may have been revoked since.
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
      handshakeTimeout: limits.handshake,
    });
    server.on('secureConnection', (socket) => {
      const pending = handshakes.get(keyOf(socket));
      handshakes.delete(keyOf(socket));
      if (pending === undefined || pending.session.ended) socket.destroy();
      else establish(pending.session, pending.transport, socket);
    });
    server.on('tlsClientError', (_, socket) => {
      reject(context.stats, 'handshake');
      socket.destroy();
    });
    return server;
  }

  /** A certificate that does not verify is no better than none where one is needed, and worse where none is. */
  function establish(session: Session, transport: SocketTransport, socket: TLSSocket): void {
    const certificate = socket.getPeerX509Certificate() ?? null;
    transport.socket = socket;
    transport.secure = true;
    attach(session, socket);
    if (certificate !== null && !socket.authorized) {
      hangUp(session, 'client_certificate');
      socket.destroy();
      return;
    }
    void secured(session, certificate === null ? null : readClientCertificate(certificate));
  }

  function attach(session: Session, socket: Socket): void {
    socket.on('error', noop);
    socket.on('data', (chunk: Buffer) => receive(session, chunk));
    socket.on('drain', () => resumeOutput(session));
    socket.on('end', () => hangUp(session, 'closed_by_client'));
  }

  function handshake(session: Session, transport: SocketTransport, raw: Socket): void {
    handshakes.set(keyOf(raw), { session, transport, raw });
    tlsServer!.emit('connection', raw);
  }

  function startTls(session: Session, transport: SocketTransport): void {
    const raw = transport.socket;
    for (const event of ['data', 'drain', 'end']) raw.removeAllListeners(event);
    // What has been read in clear text goes nowhere: the TLS layer reads from the connection itself.
    raw.read();
    handshake(session, transport, raw);
  }

  /**
   * Where there is room for nobody, the stranger who has been there for longest goes: whoever connects and says nothing
   * would keep hosts out, at no cost to themselves.
   */
  function makeRoom(peer: Peer): void {
    const all = sessions.size >= limits.connections;
    const ofAddress = peer.connections >= limits.connectionsPerAddress;
    if (!all && !ofAddress) return;
    for (const session of sessions) {
      if (isAuthorised(session) || (ofAddress && session.peer !== peer)) continue;
      reject(context.stats, ofAddress ? 'connections_per_address' : 'connections');
      hangUp(session, 'made_way');
      session.transport.destroy();
      leavings.get(session)?.();
      return;
    }
  }

  function accept(raw: Socket, tls: boolean): void {
    const address = addressOf(raw);
    raw.on('error', noop);
    const peer = peers.get(address) ?? createPeer(limits, deps.now());
    makeRoom(peer);
    if (sessions.size >= limits.connections || peer.connections >= limits.connectionsPerAddress) {
      reject(context.stats, sessions.size >= limits.connections ? 'connections' : 'connections_per_address');
      if (tls) raw.destroy();
      else raw.end(disconnectionNotice(RESULT.unavailable, 'too many connections'));
      // What it sends is not read, and it may not stay because it does not read either.
      destroyLater(raw, 1000);
      return;
    }
    peers.set(address, peer);
    peer.connections++;
    const transport = createSocketTransport(raw, address, () => startTls(session, transport));
    const session = createSession(context, transport, peer, tls);
    const key = keyOf(raw);
    context.stats.connections = sessions.size;
    context.stats.accepted++;
    const leave = (): void => {
      if (!leavings.delete(session)) return;
      forget(session);
      handshakes.delete(key);
      context.stats.connections = sessions.size;
      peer.connections--;
    };
    leavings.set(session, leave);
    raw.on('close', leave);
    if (tls) handshake(session, transport, raw);
    else attach(session, raw);
  }

  const sweepEvery = Math.max(
    20,
    Math.min(1000, limits.idleUnauthenticated / 4, limits.incompleteMessage / 4, limits.writeStall / 4),
  );
  const sweep = setInterval(() => {
    for (const session of sessions) enforceTime(session);
    for (const [address, peer] of peers) {
      // Its bucket is full again after this long, so nothing is forgiven that was not forgiven already.
      const idle = deps.now() - peer.searches.refilled > 60_000;
      if (peer.connections === 0 && idle) peers.delete(address);
    }
  }, sweepEvery);
  sweep.unref();

  return {
    async listen({ host, port, tls }) {
      if (tls && tlsServer === null) throw new Error('a TLS listener needs a certificate');
      const highWaterMark = Math.min(64 * 1024, limits.writeBuffer);
      const server = createServer({ noDelay: true, keepAlive: true, highWaterMark }, (socket) => accept(socket, tls));
      await new Promise<void>((resolve, rejected) => {
        server.once('error', rejected);
        server.listen({ host, port, backlog: 511 }, () => {
          server.off('error', rejected);
          resolve();
        });
      });
      server.on('error', (error) => deps.report({ kind: 'bug', message: String(error) }));
      listeners.push(server);
      return (server.address() as { port: number }).port;
    },

    publish: (snapshot) => publish(context, snapshot && createEngine(snapshot)),

    async recheck() {
      await Promise.all([...sessions].map(recheck));
    },

    setTls(tls) {
      const fresh = acceptTls(tls);
      tlsServer = fresh;
      context.tlsAvailable = true;
    },

    stats: () => structuredClone(context.stats),

    async close() {
      clearInterval(sweep);
      const closed = listeners.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
      for (const session of sessions) dismiss(session, 'the server is stopping', 'shutdown');
      const late = setTimeout(() => {
        for (const session of sessions) session.transport.destroy();
      }, 500);
      await Promise.all(closed);
      clearTimeout(late);
    },
  };
}
