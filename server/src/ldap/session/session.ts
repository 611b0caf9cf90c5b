import type { Output } from '../ber/writer.ts';
import type { Cursor } from '../engine/cursor.ts';
import type { Engine } from '../engine/engine.ts';
import type { View } from '../engine/view.ts';
import type { BindThrottle } from './bind-throttle.ts';
import type { ClientCertificate, CredentialChecker, Identity } from './credentials.ts';
import type { PageStore } from './pages.ts';
import type { Scheduler, Share } from './scheduler.ts';
import type { Settings } from './settings.ts';
import type { SpecialEntries } from './special-entries.ts';
import type { Stats } from './stats.ts';
import type { Rates, TokenBucket } from './token-bucket.ts';

/** What a session needs of the connection below it. */
export interface Transport {
  readonly address: string;
  /** TLS is active. */
  secure: boolean;
  /** Hands over everything in the output and empties it. */
  send(output: Output): void;
  /** Octets that the kernel has not taken yet. */
  pending(): number;
  pause(): void;
  resume(): void;
  /** Closes once everything has been sent. @param lastWords the client did not expect it and may still be sending. */
  end(lastWords: boolean): void;
  /** Closes at once. */
  destroy(): void;
  /** Starts TLS on the connection; octets received in clear text and not looked at yet are dropped. */
  startTls(): void;
}

/** Limits that all connections from one address share. */
export interface Peer extends Share {
  connections: number;
  searches: TokenBucket;
  /** Its connections that wait for a search to be left. */
  resting: Set<Session>;
}

/** One connection: what it has proved, what it has asked and what of it is still being answered. */
export interface Session {
  context: Context;
  transport: Transport;
  peer: Peer;
  /** How much of the server's time the connection itself has had. */
  share: Share;
  /** Verified certificate of the connection, and whom it stands for. */
  certificate: ClientCertificate | null;
  certificateIdentity: Identity | null;
  identity: Identity | null;
  /** A certificate or identity that was good and is not any more: the next operation is the last one. */
  withdrawn: boolean;
  /** Something is awaited before the next message may be looked at: a password check, a handshake. */
  waiting: boolean;
  ended: boolean;
  /** Was told why. */
  toldWhy: boolean;
  /** The rest of what came with the last message is not looked at. */
  dropRest: boolean;
  /** Was told an rootDSE without `lastUSN`. */
  sawUnreadyRoot: boolean;
  /** Received, but not looked at yet. */
  backlog: Buffer | null;
  /** Beginning of a message that is not complete. */
  partial: { bytes: Buffer; length: number; wanted: number } | null;
  running: Running[];
  /** Whose turn it is. */
  nextTurn: number;
  pages: PageStore;
  searches: TokenBucket;
  /** Has authenticated, and may ask as much as that allows. */
  trusted: boolean;
  /** Asked more than its rate allows: its next request waits. */
  resting: boolean;
  /** Cached view, valid for one engine and identity. */
  view: { engine: Engine; identity: Identity | null; view: View } | null;
  /** Octets kept for the client, as far as the context's sum knows of them. */
  held: number;
  lastActivity: number;
  /** When the incomplete message began; 0 without one. */
  partialSince: number;
  /** Since when output waits for the client; 0 when it does not. */
  stalledSince: number;
  run(): boolean;
}

/** A search that is being answered. */
export interface Running {
  messageId: number;
  cursor: Cursor;
  /** Fingerprint of the request when it is paged. */
  paged: string | null;
  /** The server's own size limit applies, and reaching it means that the client sees less than there is. */
  serverLimit: boolean;
  startedAt: number;
  /** Time the client asked for at most, in milliseconds; 0: none. */
  timeLimit: number;
  /** Time spent working on it. */
  worked: number;
}

/** What all sessions of a server share. */
export interface Context {
  settings: Settings;
  rates: Rates;
  checker: CredentialChecker;
  throttle: BindThrottle;
  special: SpecialEntries;
  scheduler: Scheduler;
  stats: Stats;
  /** Where answers are collected during one event of one session; empty in between. */
  output: Output;
  /** Null until the first snapshot has arrived. */
  engine: Engine | null;
  /** Generations of earlier snapshots that a search or page may still be reading, oldest first. */
  generations: number[];
  sessions: Set<Session>;
  /** Octets kept for all of them. */
  held: number;
  clearText: Set<string>;
  /** A certificate is configured. */
  tlsAvailable: boolean;
  /** Milliseconds that only ever grow, with fractions. */
  now(): number;
  /** Does work in so many milliseconds. */
  after(milliseconds: number, work: () => void): void;
  randomBytes(length: number): Uint8Array;
  report(event: SessionEvent): void;
}

/** What is worth a line in the log. */
export type SessionEvent =
  /** `withheld`: there were too many wrong passwords to look at this one. */
  | { kind: 'bind'; address: string; dn: string; outcome: 'refused' | 'withheld' }
  /** A good password that could be read on the way. */
  | { kind: 'clear-text-password'; address: string; dn: string }
  | { kind: 'size-limit'; address: string; identity: string | null }
  | { kind: 'disconnected'; address: string; reason: string }
  | { kind: 'identity-withdrawn'; address: string; identity: Identity }
  | { kind: 'bug'; message: string };

/** Whether the connection may search. */
export function isAuthorised(session: Session): boolean {
  return session.identity !== null || session.context.settings.allowAnonymous;
}
