import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ReaderFailure } from '../../events/readers.ts';
import { createRecent } from '../recent.ts';
import { type AuditSink, mustBeSure } from '../sink.ts';
import { type SyslogOrigin, shortened, syslogMessage } from './syslog-message.ts';

/** Where messages go, and how. */
export interface SyslogTarget {
  transport: 'udp' | 'tcp' | 'tls';
  host: string;
  port: number;
  /** RFC 6587: the length in front of each message, or a line feed behind it. */
  framing: 'octet-counting' | 'newline';
}

/** PEM texts. */
export interface SyslogTls {
  /** Null: the authorities of the system. */
  ca: string | null;
  cert: string | null;
  key: string | null;
}

/** RFC 5426 has every receiver take as many octets. */
const MOST_UDP = 2048;
const CONNECT_MS = 5000;
/**
 * How long a receiver may take nothing before the connection counts as dead, milliseconds. Twice as long each time that it
 * did: the operating system asks for more only once it is rid of a good part of what it holds, so one that is slow would
 * have the same again on each connection, and never what comes next.
 */
const WRITE_MS = 30_000;
/**
 * A peer that vanished without a word is noticed when the operating system gives up on what it has sent, which takes up to
 * about 16 minutes: all of that time it has taken what was written.
 */
const VANISHED_MS = 20 * 60_000;
const KEEP_ALIVE_MS = 10_000;
const REDIAL_MS = 500;
/** How long a TLS 1.3 receiver has to say no to a certificate that it was shown last of all, milliseconds. */
const OBJECTION_MS = 500;

/** The peer said itself that the connection is over, so what is lost is what it had not dealt with yet. */
const SAID_SO = new Set(['ECONNRESET', 'EPIPE']);

/**
 * Messages over TCP or TLS. The receiver confirms nothing: what the operating system has taken counts as delivered, and
 * when a connection breaks, what was delivered within a window before that comes again.
 *
 * @param deps.windowMs how long a receiver has what it was sent in memory only, milliseconds
 */
function createStream(deps: {
  target: SyslogTarget;
  tls: () => Promise<SyslogTls>;
  origin: SyslogOrigin;
  windowMs: number;
  writeMs?: number;
  now: () => number;
}): AuditSink {
  const { target, origin, windowMs, writeMs = WRITE_MS } = deps;
  const recent = createRecent({ now: deps.now, longestMs: Math.max(windowMs, VANISHED_MS) });
  let open: Socket | null = null;
  let lost: number | null = null;
  /** Why the connection ended with which events may have been lost: an attempt that failed, though it looked well. */
  let broken: Error | null = null;
  let patienceMs = writeMs;
  /** It was told that nothing more comes, and everything before that has gone well. */
  let leaving = false;

  function ended(socket: Socket, error: NodeJS.ErrnoException | null): void {
    if (open !== socket) return;
    open = null;
    if (leaving && error === null) return;
    const window = error === null || SAID_SO.has(error.code ?? '') ? windowMs : Math.max(windowMs, VANISHED_MS);
    const after = recent.before(window);
    if (after !== null) {
      lost = Math.min(lost ?? after, after);
      broken = error ?? new Error('the receiver closed the connection');
    }
    recent.forget();
  }

  async function dial(): Promise<Socket> {
    const { host, port } = target;
    const tls = target.transport === 'tls' ? await deps.tls() : null;
    return new Promise((resolve, reject) => {
      let failure: NodeJS.ErrnoException | null = null;
      const socket: Socket =
        tls !== null
          ? connectTls({
              host,
              port,
              minVersion: 'TLSv1.2',
              ...(isIP(host) === 0 ? { servername: host } : {}),
              ...(tls.ca === null ? {} : { ca: tls.ca }),
              ...(tls.cert === null || tls.key === null ? {} : { cert: tls.cert, key: tls.key }),
            })
          : connect({ host, port });
      const limit = setTimeout(
        () => socket.destroy(Object.assign(new Error('no connection in 5 seconds'), { code: 'ETIMEDOUT' })),
        CONNECT_MS,
      );
      const ready = () => {
        clearTimeout(limit);
        socket.setKeepAlive(true, KEEP_ALIVE_MS);
        open = socket;
        resolve(socket);
      };
      if (tls === null) socket.once('connect', ready);
      else {
        socket.once('secureConnect', () => {
          const objection = setTimeout(ready, OBJECTION_MS);
          socket.once('close', () => clearTimeout(objection));
          // A ticket comes after the receiver has looked at the certificate.
          socket.once('session', () => {
            clearTimeout(objection);
            if (open === null) ready();
          });
        });
      }
      socket.on('error', (error: NodeJS.ErrnoException) => {
        failure = error;
      });
      // A receiver has nothing to say; what it says is read so that its end is seen.
      socket.resume();
      socket.on('end', () => socket.destroy());
      socket.on('close', () => {
        clearTimeout(limit);
        ended(socket, failure);
        reject(failure ?? new Error('the receiver closed the connection'));
      });
    });
  }

  /** Resolves once the operating system has taken it. */
  function write(socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => {
        patienceMs = Math.min(patienceMs * 2, VANISHED_MS);
        socket.destroy(Object.assign(new Error('the receiver takes nothing'), { code: 'ETIMEDOUT' }));
      }, patienceMs);
      const giveUp = () => socket.destroy();
      signal.addEventListener('abort', giveUp, { once: true });
      socket.write(bytes, (error) => {
        clearTimeout(limit);
        signal.removeEventListener('abort', giveUp);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  const framed = (message: Buffer): Buffer =>
    target.framing === 'newline'
      ? Buffer.concat([message, Buffer.from('\n')])
      : Buffer.concat([Buffer.from(`${message.length} `), message]);

  return {
    name: 'syslog',
    batch: 100,
    async deliver(records, turn) {
      if (broken !== null) {
        const { message } = broken;
        broken = null;
        throw new ReaderFailure(`the connection broke: ${message}`, { retryMs: REDIAL_MS });
      }
      const socket = open ?? (await dial());
      for (const record of records) {
        mustBeSure(turn);
        // What the peer had when it closed may be lost; that is found out before anything else is sent.
        if (open !== socket) throw new Error('the connection broke');
        await write(socket, framed(syslogMessage(record, origin)), turn.signal);
        recent.note(record.event.seq);
      }
      return null;
    },
    async comesAgain() {
      if (lost === null) return null;
      const after = lost;
      return {
        after,
        noted() {
          if (lost === after) lost = null;
        },
      };
    },
    async close() {
      const socket = open;
      if (socket === null) return;
      await new Promise<void>((resolve) => {
        const limit = setTimeout(
          () => socket.destroy(Object.assign(new Error('no end in 5 seconds'), { code: 'ETIMEDOUT' })),
          CONNECT_MS,
        );
        socket.once('close', () => {
          clearTimeout(limit);
          resolve();
        });
        if (socket.destroyed) return;
        leaving = true;
        socket.end();
      });
    },
  };
}

/** Finds the address of a name. */
export type SyslogLookup = (host: string) => Promise<{ address: string; family: number }>;

/** So long is a name taken to lead where it led, milliseconds; where nobody listens it is looked up again at once. */
const LEADS_MS = 60_000;
/** How often a message is handed to an operating system that only ever tells of refusals before it. */
const MOST_HANDED = 5;

/** Messages over UDP: nobody learns whether one arrives. A long one is shortened, with the hash of the event in front. */
function createDatagrams(deps: {
  target: SyslogTarget;
  origin: SyslogOrigin;
  now: () => number;
  lookup?: SyslogLookup | undefined;
}): AuditSink {
  const { target, origin, now, lookup: find = (host) => lookup(host, { order: 'ipv4first' }) } = deps;
  let open: { socket: DatagramSocket; since: number } | null = null;
  /** A message was refused: where nobody listens it is lost, as documented, but the receiver may be elsewhere by now. */
  let refused = false;

  function letGo(): void {
    open?.socket.close();
    open = null;
  }

  async function dial(): Promise<DatagramSocket> {
    const since = now();
    const { address, family } = await find(target.host);
    const socket = createSocket({ type: family === 6 ? 'udp6' : 'udp4' });
    await new Promise<void>((resolve, reject) => {
      socket.on('error', (error) => {
        refused = true;
        reject(error);
      });
      socket.connect(target.port, address, (error?: Error) => {
        if (!error) return resolve();
        socket.close();
        reject(error);
      });
    });
    refused = false;
    open = { socket, since };
    return socket;
  }

  async function send(socket: DatagramSocket, message: Buffer): Promise<void> {
    for (let handed = 1; ; handed += 1) {
      const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => socket.send(message, resolve));
      if (error === null) return;
      if (error.code !== 'ECONNREFUSED' || handed === MOST_HANDED) throw error;
      // A refusal of an earlier one, told instead of taking this one.
      refused = true;
    }
  }

  return {
    name: 'syslog',
    batch: 100,
    async deliver(records, turn) {
      if (open !== null && (refused || now() - open.since >= LEADS_MS)) letGo();
      const socket = open?.socket ?? (await dial());
      for (const record of records) {
        mustBeSure(turn);
        try {
          await send(socket, shortened(syslogMessage(record, origin), MOST_UDP));
        } catch (error) {
          letGo();
          throw error;
        }
      }
      return null;
    },
    async close() {
      letGo();
    },
  };
}

/** A syslog receiver (RFC 5424) over UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425). */
export function createSyslog(deps: {
  target: SyslogTarget;
  /** Asked for each connection: a certificate may have been renewed. */
  tls: () => Promise<SyslogTls>;
  origin: SyslogOrigin;
  windowMs: number;
  /** How long it may take nothing at first, milliseconds. */
  writeMs?: number;
  now: () => number;
  /** The system's unless given; TCP and TLS ask it for each connection themselves. */
  lookup?: SyslogLookup;
}): AuditSink {
  return deps.target.transport === 'udp' ? createDatagrams(deps) : createStream(deps);
}
