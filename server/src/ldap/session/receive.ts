import { frameLength } from '../ber/reader.ts';
import { SEQUENCE } from '../ber/tag.ts';
import { type Cursor, SLICE } from '../engine/cursor.ts';
import { decodeRequest } from '../protocol/decode-request.ts';
import { OP, RESULT } from '../protocol/operation.ts';
import type { Request } from '../protocol/request.ts';
import { handleBind } from './bind.ts';
import { handleExtended } from './extended.ts';
import { account, isTight, weightOf } from './memory.ts';
import { mustRest, refillAt } from './pace.ts';
import { disconnect, hangUp, refuse, refuseWithdrawn, respond, responseTagOf } from './respond.ts';
import { advance } from './running.ts';
import { handleCompare, handleSearch } from './search.ts';
import type { Session } from './session.ts';
import { reject } from './stats.ts';

/** The header of a message takes no more than this. */
const HEADER = 6;
/** Answers collected before they are sent, at most, give or take one; and when memory is short. */
const ENOUGH = 60 * 1024;
const LITTLE = 8 * 1024;
/** Milliseconds that a slice takes at most, give or take one message. */
const SLICE_TIME = 0.5;

/** What is left of the slice that is being done: units of work, and the time by which it ends. */
const budget = { left: 0, until: 0, enough: ENOUGH };

function beginSlice({ context }: Session, work: number, now: number): void {
  const tight = isTight(context);
  budget.left = tight ? work / 8 : work;
  budget.until = now + SLICE_TIME;
  budget.enough = tight ? LITTLE : ENOUGH;
}

/** Octets that the searches of a connection take when the next one has to wait for them. */
const HEAVY = 128 * 1024;

/** Whether there is anything to be done for it. */
const isReady = (session: Session): boolean => !session.ended && !session.waiting && session.stalledSince === 0;

/** Whether the next message may be looked at. Those that sssd sends at once wait for each other: none is refused. */
const mayBegin = (session: Session): boolean =>
  isReady(session) && (session.running.length === 0 || mayBeginBeside(session)) && !mustRest(session);

const mayBeginBeside = ({ running, context }: Session): boolean =>
  running.length < context.settings.limits.operations && weightOf(running) < HEAVY;

/** A large entry is half written: nothing else may be said before its other half. */
const isMidEntry = (session: Session): boolean => session.running.some(({ cursor }) => cursor.remainder !== null);

/** What work a message is when it is nothing else: reading it. */
const MESSAGE_WORK = 4;

/** Keeps octets that cannot be looked at yet, and takes no more. @param chunk is not kept. */
function keep(session: Session, chunk: Buffer): void {
  session.backlog = session.backlog === null ? Buffer.from(chunk) : Buffer.concat([session.backlog, chunk]);
  session.transport.pause();
  account(session);
}

/**
 * Takes octets from the client. Everything that can be answered within one slice is, in one write; the rest waits for
 * its turn.
 *
 * @param chunk is not kept.
 */
export function receive(session: Session, chunk: Buffer): void {
  if (session.ended) {
    // It said that this was the end, or was told so.
    if (!session.toldWhy) session.transport.destroy();
    return;
  }
  const { context } = session;
  const started = context.now();
  session.lastActivity = started;
  refillAt(started, session);
  if (session.backlog !== null || !mayBegin(session)) {
    keep(session, chunk);
    return;
  }
  if (!context.scheduler.mayRunNow(session.peer)) {
    session.backlog = Buffer.from(chunk);
    context.scheduler.add(session);
    return;
  }
  guarded(session, () => {
    beginSlice(session, SLICE, started);
    consume(session, chunk);
    finish(session);
  });
  context.scheduler.spend(session, context.now() - started);
}

/** Does one slice of what the session has to do. @returns true when there is more. */
export function runSlice(session: Session): boolean {
  const { context } = session;
  const started = context.now();
  refillAt(started, session);
  guarded(session, () => {
    // What is under way gets its half even if messages never stop coming, and the other way round.
    beginSlice(session, session.running.length > 0 ? SLICE / 2 : SLICE, started);
    if (session.backlog !== null && mayBegin(session) && !isMidEntry(session)) {
      const { backlog } = session;
      session.backlog = null;
      consume(session, backlog);
    }
    if (session.running.length > 0) {
      budget.left = Math.max(budget.left, SLICE / 2);
      budget.until = context.now() + SLICE_TIME;
    }
    advanceAll(session);
    finish(session);
  });
  context.scheduler.spend(session, context.now() - started);
  return hasWork(session);
}

/** Searches take turns; one in the middle of an entry goes on until the entry is complete. */
function advanceAll(session: Session): void {
  while (session.running.length > 0 && isReady(session) && hasRoom(session)) {
    if (session.nextTurn >= session.running.length) session.nextTurn = 0;
    const index = session.running.findIndex(({ cursor }) => cursor.remainder !== null);
    const turn = index >= 0 ? index : session.nextTurn;
    if (advance(session, session.running[turn]!, budget)) session.running.splice(turn, 1);
    else if (session.running[turn]!.cursor.remainder === null) session.nextTurn = turn + 1;
  }
}

const hasRoom = ({ context }: Session): boolean =>
  budget.left > 0 && context.output.length < budget.enough && context.now() < budget.until;

const hasWork = (session: Session): boolean =>
  isReady(session) && ((session.backlog !== null && !session.resting) || session.running.length > 0);

/** The client has taken what was waiting for it. */
export function resumeOutput(session: Session): void {
  if (session.ended) return;
  session.stalledSince = 0;
  account(session);
  if (hasWork(session)) session.context.scheduler.add(session);
  else if (session.backlog === null) session.transport.resume();
}

/** What was awaited has come. @param write the answer, if there is one to be given now. */
export function stopWaiting(session: Session, write: () => void = () => {}): void {
  if (session.ended) return;
  session.waiting = false;
  guarded(session, () => {
    write();
    finish(session);
  });
}

/** Sends what has been written and decides how it goes on. */
function finish(session: Session): void {
  const { context, transport } = session;
  if (context.output.length > 0) transport.send(context.output);
  if (session.ended) {
    transport.end(session.toldWhy);
    return;
  }
  account(session);
  if (session.ended) return;
  const pending = transport.pending();
  if (pending > 0 && (pending >= context.settings.limits.writeBuffer || isTight(context))) {
    if (session.stalledSince === 0) session.stalledSince = context.now();
    transport.pause();
    return;
  }
  // While a password is checked nothing is read on either, but only who sends on meanwhile has to be stopped.
  if (session.backlog !== null) transport.pause();
  else if (!session.waiting) transport.resume();
  if (hasWork(session)) context.scheduler.add(session);
}

/** A bug in here costs one connection, not the server. */
function guarded(session: Session, work: () => void): void {
  const { context } = session;
  context.output.length = 0;
  try {
    work();
  } catch (error) {
    context.output.length = 0;
    context.report({ kind: 'bug', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    hangUp(session, 'bug');
    session.transport.destroy();
  }
}

function consume(session: Session, chunk: Buffer): void {
  let at = session.partial === null ? 0 : completePartial(session, chunk);
  while (at < chunk.length) {
    if (session.dropRest) {
      // Octets that came with a StartTLS request must not be taken for what TLS protects.
      session.dropRest = false;
      reject(session.context.stats, 'plaintext_after_starttls');
      return;
    }
    if (!mayBegin(session) || !hasRoom(session) || isMidEntry(session)) {
      if (!session.ended) session.backlog = Buffer.from(chunk.subarray(at));
      return;
    }
    const length = frameLength(chunk, at, chunk.length, SEQUENCE);
    if (!isAcceptable(session, length)) return;
    if (length === 0 || at + length > chunk.length) {
      beginPartial(session, chunk, at, length);
      return;
    }
    handle(session, chunk, at, at + length);
    at += length;
  }
  session.dropRest = false;
}

/** False, and the conversation over, when the length is not one of a message, or too large. */
function isAcceptable(session: Session, length: number): boolean {
  if (length < 0) {
    hangUp(session, 'garbage');
    return false;
  }
  const { limits } = session.context.settings;
  const most = session.identity === null ? limits.messageSizeUnauthenticated : limits.messageSize;
  if (length <= most) return true;
  disconnect(session, RESULT.adminLimitExceeded, 'message too large', 'message_size');
  return false;
}

function beginPartial(session: Session, chunk: Buffer, at: number, length: number): void {
  const have = chunk.length - at;
  // Room grows with what has come, not with what has been announced.
  const capacity = length === 0 ? HEADER : Math.min(length, Math.max(1024, have * 2));
  const bytes = Buffer.allocUnsafeSlow(capacity);
  chunk.copy(bytes, 0, at);
  session.partial = { bytes, length: have, wanted: length };
  session.partialSince = session.lastActivity;
}

/** Adds to the message that was begun, and handles it when it is complete. @returns how much of the chunk it took. */
function completePartial(session: Session, chunk: Buffer): number {
  const partial = session.partial!;
  let at = 0;
  if (partial.wanted === 0) {
    while (partial.wanted === 0 && at < chunk.length && partial.length < HEADER) {
      partial.bytes[partial.length++] = chunk[at++]!;
      const length = frameLength(partial.bytes, 0, partial.length, SEQUENCE);
      if (!isAcceptable(session, length)) return chunk.length;
      partial.wanted = length;
    }
    if (partial.wanted === 0) return at;
  }
  const count = Math.min(partial.wanted - partial.length, chunk.length - at);
  if (partial.length + count > partial.bytes.length) {
    const larger = Buffer.allocUnsafeSlow(Math.min(partial.wanted, (partial.length + count) * 2));
    partial.bytes.copy(larger, 0, 0, partial.length);
    partial.bytes = larger;
  }
  chunk.copy(partial.bytes, partial.length, at, at + count);
  partial.length += count;
  at += count;
  if (partial.length === partial.wanted) {
    session.partial = null;
    session.partialSince = 0;
    handle(session, partial.bytes, 0, partial.wanted);
  }
  return at;
}

function handle(session: Session, bytes: Buffer, start: number, end: number): void {
  const { limits } = session.context.settings;
  const request = decodeRequest(bytes, start, end, {
    depth: limits.filterDepth,
    leaves: limits.filterLeaves,
    size: limits.filterSize,
  });
  budget.left -= MESSAGE_WORK;
  if (request.kind === 'protocol-error') {
    disconnect(session, RESULT.protocolError, request.text, 'protocol_error');
    return;
  }
  perform(session, request);
}

function perform(session: Session, request: Request): void {
  const { messageId, controls } = request;
  if (request.kind === 'unbind') {
    hangUp(session, 'unbind');
    return;
  }
  if (request.kind === 'abandon') {
    abandon(session, request.target);
    return;
  }
  const tag = 'responseTag' in request ? request.responseTag : responseTagOf(request.kind);
  if (session.withdrawn) {
    refuseWithdrawn(session, messageId, tag);
    return;
  }
  // Two operations under one number could not be told apart by anybody.
  if (session.running.some((running) => running.messageId === messageId)) {
    disconnect(session, RESULT.protocolError, 'message id in use', 'protocol_error');
    return;
  }
  if (controls.unavailable) {
    refuse(session, messageId, tag, RESULT.unavailableCriticalExtension, 'critical control not supported');
    return;
  }
  if (controls.malformed !== null) {
    refuse(session, messageId, tag, RESULT.protocolError, controls.malformed);
    return;
  }
  switch (request.kind) {
    case 'search':
      handleSearch(session, request, budget);
      return;
    case 'bind': {
      const answer = handleBind(session, request);
      if (answer === null) return;
      session.waiting = true;
      answer.then(
        (write) => stopWaiting(session, write),
        (error: unknown) => {
          session.context.report({ kind: 'bug', message: String(error) });
          stopWaiting(session, () =>
            respond(session, messageId, OP.bindResponse, RESULT.unavailable, { text: 'cannot check credentials now' }),
          );
        },
      );
      return;
    }
    case 'compare':
      handleCompare(session, request);
      return;
    case 'extended':
      handleExtended(session, request);
      return;
    case 'update':
      refuse(session, messageId, request.responseTag, RESULT.unwillingToPerform, 'read-only directory');
      return;
    case 'unacceptable':
      refuse(session, messageId, request.responseTag, RESULT.protocolError, request.text);
  }
}

/** Gives up what still reads a snapshot from before a generation: pages, which are asked for again, and searches. */
export function endOutdated(session: Session, oldest: number): void {
  const isOutdated = ({ cursor }: { cursor: Cursor }): boolean => cursor.snapshot.generation < oldest;
  session.pages = session.pages.filter((page) => !isOutdated(page));
  const outdated = session.running.filter(isOutdated);
  if (session.ended || outdated.length === 0) return;
  guarded(session, () => {
    session.running = session.running.filter((running) => !isOutdated(running));
    for (const { messageId, cursor } of outdated) {
      if (cursor.remainder === null) {
        refuse(session, messageId, OP.searchDone, RESULT.busy, 'the directory has changed too often meanwhile');
        continue;
      }
      // Half an entry cannot be taken back.
      hangUp(session, 'outdated');
      session.transport.destroy();
      return;
    }
    finish(session);
  });
}

function abandon(session: Session, target: number): void {
  const index = session.running.findIndex((running) => running.messageId === target);
  if (index >= 0) session.running.splice(index, 1);
}
