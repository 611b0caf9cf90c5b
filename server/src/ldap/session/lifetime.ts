import { RESULT } from '../protocol/operation.ts';
import type { ClientCertificate } from './credentials.ts';
import { release } from './memory.ts';
import { createFairShare, trust } from './pace.ts';
import { dropIdlePages } from './pages.ts';
import { runSlice, stopWaiting } from './receive.ts';
import { disconnect, type Ended, hangUp } from './respond.ts';
import { type Context, isAuthorised, type Peer, type Session, type Transport } from './session.ts';
import type { CutOff } from './stats.ts';
import { createBucket } from './token-bucket.ts';

/** A session over a connection. @param handshaking whether TLS comes first. */
export function createSession(context: Context, transport: Transport, peer: Peer, handshaking: boolean): Session {
  const now = context.now();
  const session: Session = {
    context,
    transport,
    peer,
    share: createFairShare(peer),
    certificate: null,
    certificateIdentity: null,
    identity: null,
    withdrawn: false,
    waiting: handshaking,
    ended: false,
    toldWhy: false,
    dropRest: false,
    sawUnreadyRoot: false,
    backlog: null,
    partial: null,
    running: [],
    nextTurn: 0,
    pages: [],
    searches: createBucket(context.rates.connection.burst, now),
    trusted: false,
    resting: false,
    view: null,
    held: 0,
    lastActivity: now,
    partialSince: 0,
    stalledSince: 0,
    run: () => runSlice(session),
  };
  context.sessions.add(session);
  return session;
}

/** The connection is gone. */
export function forget(session: Session): void {
  hangUp(session, 'closed_by_client');
  release(session);
  session.peer.resting.delete(session);
  session.context.sessions.delete(session);
}

/**
 * TLS is established. A verified certificate makes the connection that of its host; one that stands for no host may ask
 * once more and is told so.
 */
export async function secured(session: Session, certificate: ClientCertificate | null): Promise<void> {
  session.lastActivity = session.context.now();
  session.certificate = certificate;
  if (certificate !== null) {
    try {
      const identity = await session.context.checker.identify(certificate);
      if (identity === null) session.withdrawn = true;
      session.certificateIdentity = identity;
      session.identity = identity;
      if (identity !== null) trust(session);
    } catch (error) {
      // Who it is cannot be told; as an anonymous client it could still see something.
      session.context.report({ kind: 'bug', message: String(error) });
      hangUp(session, 'identify_failed');
      session.transport.destroy();
      return;
    }
  }
  stopWaiting(session);
}

/** Asks whether the session's identities still hold; if not, its next operation is its last. */
export async function recheck(session: Session): Promise<void> {
  const { checker } = session.context;
  for (const identity of new Set([session.identity, session.certificateIdentity])) {
    if (identity === null || session.withdrawn || session.ended) continue;
    if (await checker.isCurrent(identity)) continue;
    session.withdrawn = true;
    session.pages = [];
    session.context.report({ kind: 'identity-withdrawn', address: session.transport.address, identity });
  }
}

/** Writes something unasked and sends it. */
function say(session: Session, write: () => void): void {
  const { context, transport } = session;
  context.output.length = 0;
  const midEntry = session.running.some(({ cursor }) => cursor.remainder !== null);
  write();
  // A notice inside half an entry would be read as part of it.
  if (midEntry || transport.pending() > 0) transport.destroy();
  else {
    transport.send(context.output);
    transport.end(session.toldWhy);
  }
}

/** Holds a session against the limits of time. Called about every second. */
export function enforceTime(session: Session): void {
  if (session.ended) return;
  const { context, transport } = session;
  const { limits } = context.settings;
  const now = context.now();
  const drop = (reason: CutOff): void => {
    hangUp(session, reason);
    transport.destroy();
  };
  dropIdlePages(session.pages, now - limits.cursorIdle);
  if (session.stalledSince > 0 && now - session.stalledSince > limits.writeStall) {
    drop('write_stall');
    return;
  }
  if (session.partialSince > 0 && now - session.partialSince > limits.incompleteMessage) {
    drop('incomplete_message');
    return;
  }
  if (session.waiting || session.running.length > 0 || session.backlog !== null) return;
  const allowed = isAuthorised(session) ? limits.idle : limits.idleUnauthenticated;
  if (now - session.lastActivity > allowed) {
    say(session, () => disconnect(session, RESULT.unavailable, 'idle for too long', 'idle'));
  }
}

/** Ends a session because the server stops, or because what it was told before no longer holds. */
export function dismiss(session: Session, text: string, reason: Ended): void {
  if (!session.ended) say(session, () => disconnect(session, RESULT.unavailable, text, reason));
}
