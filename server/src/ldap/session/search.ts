import { type Cursor, ENTRY_WORK, estimateSize } from '../engine/cursor.ts';
import type { Engine } from '../engine/engine.ts';
import type { View } from '../engine/view.ts';
import { ANONYMOUS } from '../engine/view.ts';
import { OP, RESULT, SCOPE } from '../protocol/operation.ts';
import type { CompareRequest, SearchRequest, Span } from '../protocol/request.ts';
import { pagingControl } from '../protocol/response.ts';
import { AUDIENCE } from '../snapshot/snapshot.ts';
import { chargeRequest } from './pace.ts';
import { fingerprintOf, takePage } from './pages.ts';
import { refuse, respond } from './respond.ts';
import { advance } from './running.ts';
import { isAuthorised, type Running, type Session } from './session.ts';
import { isSubschema } from './special-entries.ts';
import { type QueryBase, type RefusedCode, reject } from './stats.ts';

const EMPTY = Buffer.alloc(0);

/** The connection's view of the directory, worked out once per snapshot and identity. */
function viewOf(session: Session, engine: Engine): View {
  const { identity } = session;
  const cached = session.view;
  if (cached !== null && cached.engine === engine && cached.identity === identity) return cached.view;
  let view = ANONYMOUS;
  if (identity !== null) {
    const audience = identity.kind === 'service' ? AUDIENCE.service : AUDIENCE.authenticated;
    const scoped = session.context.settings.scopeSudoToHost && identity.kind === 'host';
    view = engine.viewOf(audience, identity.dn, scoped ? identity.hostNames : null);
  }
  session.view = { engine, identity, view };
  return view;
}

function rootOf(session: Session): Engine {
  const { context, transport } = session;
  const directory = context.engine?.snapshot ?? null;
  if (directory === null) session.sawUnreadyRoot = true;
  return context.special.root({
    directory: directory === null ? null : { baseDn: directory.baseDn, lastUsn: directory.lastUsn },
    startTls: context.tlsAvailable && !transport.secure,
    external: session.certificateIdentity !== null,
    authenticated: session.identity !== null,
    vendorName: context.settings.vendorName,
    vendorVersion: context.settings.vendorVersion,
  });
}

const OUS: readonly [Buffer, QueryBase][] = [
  [Buffer.from('people'), 'people'],
  [Buffer.from('groups'), 'groups'],
  [Buffer.from('sudoers'), 'sudoers'],
];

/** Which part of the tree a search begins in, roughly: for a counter. */
function classify(bytes: Uint8Array, span: Span): QueryBase {
  const { start, end } = span;
  if (start === end) return 'rootdse';
  if (isSubschema(bytes, span)) return 'subschema';
  const length = end - start;
  for (const [name, base] of OUS) {
    if (length < name.length + 3 || bytes[start + 2] !== 0x3d) continue;
    let i = 0;
    while (i < name.length && (bytes[start + 3 + i]! | 0x20) === name[i]) i++;
    if (i === name.length) return base;
  }
  // dc=example,dc=com, and everything below a container that has a counter of its own.
  return (bytes[start]! | 0x20) === 0x64 ? 'base' : 'other';
}

/** Why a search or compare is not even begun; null when it may be. */
function refusalOf(session: Session, isRoot: boolean): { code: RefusedCode; text: string } | null {
  const { requireTls } = session.context.settings;
  if (!isRoot && !isAuthorised(session)) {
    return { code: RESULT.insufficientAccessRights, text: 'authentication required' };
  }
  if (!isRoot && requireTls && !session.transport.secure) {
    return { code: RESULT.confidentialityRequired, text: 'TLS required' };
  }
  return null;
}

/** The engine that knows the named entry; null while the directory is not loaded. */
function engineFor(session: Session, bytes: Uint8Array, base: Span, isRoot: boolean): Engine | null {
  if (isRoot) return rootOf(session);
  return isSubschema(bytes, base) ? session.context.special.subschema : session.context.engine;
}

/** Search (RFC 4511 4.5). Answers at once what fits into the budget; the rest becomes a running search. */
export function handleSearch(session: Session, request: SearchRequest, budget: { left: number }): void {
  const { context } = session;
  const { messageId, base, bytes } = request;
  const { limits } = context.settings;
  const isRoot = base.start === base.end && request.scope === SCOPE.base;
  context.stats.queries[classify(bytes, base)]++;
  chargeRequest(session, request.whole.end - request.whole.start);
  const refusal = refusalOf(session, isRoot);
  const engine = refusal === null ? engineFor(session, bytes, base, isRoot) : null;
  // An empty answer would make sssd delete every user it knows.
  if (engine === null) {
    const { code, text } = refusal ?? { code: RESULT.busy, text: 'the directory is not loaded yet' };
    refuse(session, messageId, OP.searchDone, code, text);
    return;
  }
  const paging = engine === context.engine ? request.controls.paging : null;
  if (paging !== null && paging.cookie.end > paging.cookie.start) {
    continuePaged(session, request, paging, budget);
    return;
  }
  const own = paging !== null || limits.searchResults === 0 ? Number.POSITIVE_INFINITY : limits.searchResults;
  const wanted = request.sizeLimit === 0 ? Number.POSITIVE_INFINITY : request.sizeLimit;
  const started = engine.search(request, viewOf(session, engine), Math.min(own, wanted));
  if ('kind' in started) {
    respond(session, messageId, OP.searchDone, started.code, started);
    return;
  }
  if (started.dereference !== null) {
    started.dereference.mostNames = limits.dereferenceNames;
    started.dereference.mostOctets = limits.dereferenceSize;
  }
  // RFC 2696 3: a page of nothing asks for nothing but the estimate.
  if (paging?.size === 0) {
    respond(session, messageId, OP.searchDone, RESULT.success, {
      controls: [pagingControl(estimateSize(started), EMPTY)],
    });
    return;
  }
  // RFC 2696 3: what fits into one page anyway is not paged.
  const isPaged = paging !== null && paging.size < wanted;
  if (isPaged) started.pageLeft = Math.min(paging.size, limits.pageSize);
  const paged = isPaged ? fingerprintOf(request) : null;
  begin(session, runningOf(session, request, started, paged, own < wanted), budget);
}

function runningOf(
  session: Session,
  request: SearchRequest,
  cursor: Cursor,
  paged: string | null,
  serverLimit: boolean,
): Running {
  const startedAt = session.lastActivity;
  const timeLimit = request.timeLimit * 1000;
  return { messageId: request.messageId, cursor, paged, serverLimit, startedAt, timeLimit, worked: 0 };
}

/** A lookup is worth finishing once it has been begun. */
const FIRST_SLICE = 8 * ENTRY_WORK;

function begin(session: Session, running: Running, budget: { left: number }): void {
  budget.left = Math.max(budget.left, FIRST_SLICE);
  if (!advance(session, running, budget)) session.running.push(running);
}

function continuePaged(
  session: Session,
  request: SearchRequest,
  paging: { size: number; cookie: Span },
  budget: { left: number },
): void {
  const { messageId, bytes } = request;
  const { limits } = session.context.settings;
  const page = takePage(session.pages, bytes.subarray(paging.cookie.start, paging.cookie.end), request);
  if (page === null) {
    reject(session.context.stats, 'paging_cookie');
    respond(session, messageId, OP.searchDone, RESULT.unwillingToPerform, { text: 'unknown or expired paging cookie' });
    return;
  }
  // RFC 2696 3: a size of zero gives the rest up.
  if (paging.size === 0) {
    respond(session, messageId, OP.searchDone, RESULT.success, { controls: [pagingControl(0, EMPTY)] });
    return;
  }
  page.cursor.pageLeft = Math.min(paging.size, limits.pageSize);
  begin(session, runningOf(session, request, page.cursor, page.fingerprint, false), budget);
}

/** Compare (RFC 4511 4.10). */
export function handleCompare(session: Session, request: CompareRequest): void {
  const { messageId, entry, bytes } = request;
  const isRoot = entry.start === entry.end;
  chargeRequest(session, 0);
  const refusal = refusalOf(session, isRoot);
  const engine = refusal === null ? engineFor(session, bytes, entry, isRoot) : null;
  if (engine === null) {
    const { code, text } = refusal ?? { code: RESULT.busy, text: 'the directory is not loaded yet' };
    refuse(session, messageId, OP.compareResponse, code, text);
    return;
  }
  const answer = engine.compare(request, viewOf(session, engine));
  respond(session, messageId, OP.compareResponse, answer.code, answer);
}
