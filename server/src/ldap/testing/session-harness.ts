import type { Output } from '../ber/writer.ts';
import { createEngine } from '../engine/engine.ts';
import { createContext } from '../session/context.ts';
import type { BindAttempt, ClientCertificate, CredentialChecker, Identity } from '../session/credentials.ts';
import { createSession, enforceTime, secured } from '../session/lifetime.ts';
import { DEFAULT_LIMITS, type Limits } from '../session/limits.ts';
import { createPeer } from '../session/pace.ts';
import { publish as publishEngine } from '../session/publish.ts';
import { receive, resumeOutput } from '../session/receive.ts';
import type { Context, Peer, Session, SessionEvent } from '../session/session.ts';
import type { Settings } from '../session/settings.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { smallDirectory, snapshotOf } from './entries.ts';
import { type Answer, readAnswers } from './messages.ts';
import { BASE } from './sample-entries.ts';

export const SERVICE_DN = `cn=sssd,${BASE}`;
export const SERVICE: Identity = { kind: 'service', dn: SERVICE_DN, hostNames: [], reference: 'service' };
export const HOST: Identity = {
  kind: 'host',
  dn: `uid=web1.example.com,ou=identree-hosts,${BASE}`,
  hostNames: ['web1.example.com', 'web1'],
  reference: 'web1',
};
export const CERTIFICATE: ClientCertificate = { serial: '1', names: ['web1.example.com'], uris: [], fingerprint: 'f' };

/** Nobody waits for a refusal. */
const AT_ONCE = { bindFailureDelay: 0, bindProvenWait: 0 };

export interface TestServerOptions {
  limits?: Partial<Limits>;
  settings?: Partial<Settings>;
  /** Null: no snapshot yet. */
  snapshot?: Snapshot | null;
  checker?: Partial<CredentialChecker>;
  tls?: boolean;
  /** Milliseconds by which time moves whenever it is looked at; 0: it stands still. */
  tick?: number;
}

/** Sessions without sockets, in a time that stands still until it is moved. */
export interface TestServer {
  context: Context;
  events: SessionEvent[];
  binds: BindAttempt[];
  advance(milliseconds: number): void;
  connect(options?: { certificate?: ClientCertificate | null; secure?: boolean; peer?: Peer }): TestConnection;
  peer(): Peer;
  publish(snapshot: Snapshot): void;
  /** Lets everything happen that is due. */
  settle(): Promise<void>;
}

export interface TestConnection {
  session: Session;
  send(...messages: Uint8Array[]): void;
  /** Everything that has been received, once everything has happened that is due. */
  answers(): Promise<Answer[]>;
  raw(): Buffer;
  closed(): boolean;
  paused(): boolean;
  /** Makes the client read nothing. */
  stall(): void;
  /** The client reads again. */
  drain(): void;
}

/** Anonymous searches are allowed and rates are not limited unless a test says so. */
export function createTestServer(options: TestServerOptions = {}): TestServer {
  let now = 1000;
  let random = 0;
  const deferred: (() => void)[] = [];
  let alarms: { at: number; ring: () => void }[] = [];
  const events: SessionEvent[] = [];
  const binds: BindAttempt[] = [];
  const sessions: Session[] = [];
  const context = createContext({
    settings: {
      limits: { ...DEFAULT_LIMITS, searchRate: 0, searchRatePerAddress: 0, ...AT_ONCE, ...options.limits },
      allowAnonymous: true,
      requireTls: false,
      scopeSudoToHost: false,
      vendorName: 'identree',
      vendorVersion: '9.9',
      ...options.settings,
    },
    checker: {
      async checkBind(attempt) {
        binds.push({ ...attempt, password: attempt.password.slice() });
        const { dn, password } = binds.at(-1)!;
        return dn === SERVICE_DN && Buffer.from(password).toString() === 'secret' ? SERVICE : null;
      },
      identify: async () => HOST,
      isCurrent: async () => true,
      ...options.checker,
    },
    report: (event) => events.push(event),
    randomBytes: (length) => Buffer.alloc(length, ++random),
    now: () => {
      now += options.tick ?? 0;
      return now;
    },
    defer: (work) => deferred.push(work),
    after: (milliseconds, ring) => alarms.push({ at: now + milliseconds, ring }),
  });
  context.tlsAvailable = options.tls ?? false;
  const publish = (snapshot: Snapshot): void => publishEngine(context, createEngine(snapshot));
  if (options.snapshot !== null) publish(options.snapshot ?? snapshotOf(smallDirectory()));
  const { limits } = context.settings;
  const peer = (): Peer => createPeer(limits, now);

  async function settle(): Promise<void> {
    const isWaiting = (): boolean => sessions.some(({ waiting, ended }) => waiting && !ended);
    for (let turns = 0; turns < 100_000; turns++) {
      if (deferred.length > 0) deferred.shift()!();
      else if (isWaiting()) await new Promise((resolve) => setTimeout(resolve, 1));
      else {
        await new Promise((resolve) => setImmediate(resolve));
        if (deferred.length === 0 && !isWaiting()) return;
      }
    }
    throw new Error('something never ends');
  }

  return {
    context,
    events,
    binds,
    settle,
    peer,
    publish,
    advance(milliseconds) {
      now += milliseconds;
      const due = alarms.filter(({ at }) => at <= now);
      alarms = alarms.filter(({ at }) => at > now);
      for (const { ring } of due) ring();
      for (const session of sessions) enforceTime(session);
    },
    connect({ certificate, secure = certificate !== undefined, peer: own = peer() } = {}) {
      own.connections++;
      const connection = createConnection(context, own, secure, settle);
      if (secure) void secured(connection.session, certificate ?? null);
      sessions.push(connection.session);
      return connection;
    },
  };
}

function createConnection(context: Context, peer: Peer, secure: boolean, settle: () => Promise<void>): TestConnection {
  let received: Buffer[] = [];
  let pending = 0;
  let [closed, paused, stalled] = [false, false, false];
  const transport = {
    address: '192.0.2.1',
    secure,
    send(output: Output) {
      const data = Buffer.from(output.bytes.subarray(0, output.length));
      output.length = 0;
      if (closed) return;
      received.push(data);
      if (stalled) pending += data.length;
    },
    pending: () => pending,
    pause: () => {
      paused = true;
    },
    resume: () => {
      paused = false;
    },
    end: () => {
      closed = true;
    },
    destroy: () => {
      closed = true;
    },
    startTls: () => {
      transport.secure = true;
      setTimeout(() => void secured(session, null), 1);
    },
  };
  const session = createSession(context, transport, peer, secure);
  return {
    session,
    send(...messages) {
      receive(session, Buffer.concat(messages));
    },
    async answers() {
      await settle();
      const bytes = Buffer.concat(received);
      received = [];
      return readAnswers(bytes);
    },
    raw: () => Buffer.concat(received),
    closed: () => closed,
    paused: () => paused,
    stall: () => {
      stalled = true;
    },
    drain: () => {
      stalled = false;
      pending = 0;
      resumeOutput(session);
    },
  };
}
