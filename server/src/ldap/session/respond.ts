import { reserve } from '../ber/writer.ts';
import { OP, RESULT, type ResultCode } from '../protocol/operation.ts';
import { disconnectionNotice, type ResultDetails, writeResult, writeSuccess } from '../protocol/response.ts';
import type { Session } from './session.ts';
import { type CutOff, type RefusedCode, reject } from './stats.ts';

/** Answers a request with a result. */
export function respond(
  session: Session,
  messageId: number,
  tag: number,
  code: ResultCode,
  details?: ResultDetails,
): void {
  if (code === RESULT.success && details === undefined) writeSuccess(session.context.output, messageId, tag);
  else writeResult(session.context.output, messageId, tag, code, details);
}

/** Ends the conversation; what has been written before is still sent. @param reason for log and metrics. */
export function hangUp(session: Session, reason: Ended): void {
  if (session.ended) return;
  session.ended = true;
  session.backlog = null;
  session.partial = null;
  session.running = [];
  session.pages = [];
  if (isOrdinary(reason)) return;
  reject(session.context.stats, reason);
  session.context.report({ kind: 'disconnected', address: session.transport.address, reason });
}

/** Ends that are not worth a line: ordinary ones, and one that a flood could bring about a thousand times a second. */
const ORDINARY = ['unbind', 'closed_by_client', 'shutdown', 'reload', 'made_way'] as const;
type Ordinary = (typeof ORDINARY)[number];
const isOrdinary = (reason: Ended): reason is Ordinary => (ORDINARY as readonly string[]).includes(reason);

/** Why a conversation ends. */
export type Ended = Ordinary | CutOff;

/** Ends the conversation with a Notice of Disconnection (RFC 4511 4.4.1). */
export function disconnect(session: Session, code: ResultCode, text: string, reason: Ended): void {
  if (session.ended) return;
  const { output } = session.context;
  const notice = disconnectionNotice(code, text);
  reserve(output, notice.length);
  notice.copy(output.bytes, output.length);
  output.length += notice.length;
  session.toldWhy = true;
  hangUp(session, reason);
}

/** An operation that the connection is not allowed, or that must wait; counted. */
export function refuse(session: Session, messageId: number, tag: number, code: RefusedCode, text: string): void {
  reject(session.context.stats, `result_${code}`);
  respond(session, messageId, tag, code, { text });
}

/** The answer after a certificate or host was withdrawn: the last one on this connection. */
export function refuseWithdrawn(session: Session, messageId: number, tag: number): void {
  if (tag !== 0) {
    respond(session, messageId, tag, RESULT.insufficientAccessRights, { text: 'credentials are no longer valid' });
  }
  disconnect(session, RESULT.insufficientAccessRights, 'credentials are no longer valid', 'withdrawn');
}

/** The tag of the answer to a request; 0 for requests without one. */
export function responseTagOf(kind: string): number {
  switch (kind) {
    case 'bind':
      return OP.bindResponse;
    case 'search':
      return OP.searchDone;
    case 'compare':
      return OP.compareResponse;
    case 'extended':
      return OP.extendedResponse;
    default:
      return 0;
  }
}
