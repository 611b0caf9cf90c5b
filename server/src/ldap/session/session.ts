import type { Engine } from '../engine/engine.ts';
import type { View } from '../engine/view.ts';
import type { Context } from './context.ts';
import type { ClientCertificate, Identity } from './credentials.ts';
import type { PageStore } from './pages.ts';
import type { Running } from './running.ts';
import type { Share } from './scheduler.ts';
import type { TokenBucket } from './token-bucket.ts';

/** What a session needs of the connection below it. */
export interface Transport {
  readonly address: string;
  /** TLS is active. */
  secure: boolean;
  /** Hands over everything in the output and empties it. */
  send(output: Context['output']): void;
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
  /** The rest of what came with the last message belongs to nobody. */
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

/** Whether the connection may search. */
export function isAuthorised(session: Session): boolean {
  return session.identity !== null || session.context.settings.allowAnonymous;
}
