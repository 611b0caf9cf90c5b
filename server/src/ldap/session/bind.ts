import { element } from '../ber/writer.ts';
import { dnKey } from '../matching/dn.ts';
import { OP, RESULT } from '../protocol/operation.ts';
import type { BindRequest, Span } from '../protocol/request.ts';
import type { Identity } from './credentials.ts';
import { trust } from './pace.ts';
import { refuse, respond } from './respond.ts';
import type { Context, Session } from './session.ts';
import { type RefusedCode, reject } from './stats.ts';

const textOf = (bytes: Uint8Array, { start, end }: Span): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');

/** An identity is new: whatever was begun under the old one is over. */
function become(session: Session, identity: Identity | null): void {
  session.identity = identity;
  session.view = null;
  if (identity !== null) trust(session);
}

/**
 * Bind (RFC 4511 4.2, RFC 4513). Operations under way are abandoned, and until the answer the connection is anonymous;
 * it stays so when the bind fails.
 *
 * @returns null when it has been answered; else what will write the answer: the connection waits for it.
 */
export function handleBind(session: Session, request: BindRequest): Promise<() => void> | null {
  session.running = [];
  session.pages = [];
  become(session, null);
  const { messageId, authentication, bytes, version } = request;
  const answer = (code: RefusedCode | typeof RESULT.success, text = ''): null => {
    if (code === RESULT.success) respond(session, messageId, OP.bindResponse, code);
    else refuse(session, messageId, OP.bindResponse, code, text);
    return null;
  };
  if (version !== 3) return answer(RESULT.protocolError, 'only version 3 is spoken');
  if (authentication.method === 'sasl') return handleSasl(session, request);
  const name = textOf(bytes, request.name);
  const { password } = authentication;
  const hasPassword = password.end > password.start;
  if (name === '') {
    if (hasPassword) return answer(RESULT.unwillingToPerform, 'a password without a name');
    // What the certificate proves holds below LDAP; ldapsearch binds so before every search.
    if (session.certificateIdentity !== null) become(session, session.certificateIdentity);
    else if (!session.context.settings.allowAnonymous) {
      return answer(RESULT.inappropriateAuthentication, 'anonymous bind is off');
    }
    return answer(RESULT.success);
  }
  // RFC 4513 5.1.2: many programs take an empty password that is "accepted" for a proof of identity.
  if (!hasPassword) return answer(RESULT.unwillingToPerform, 'a name without a password');
  if (session.context.settings.requireTls && !session.transport.secure) {
    return answer(RESULT.confidentialityRequired, 'passwords are taken over TLS only');
  }
  const key = keyOf(name);
  if (key === null) return answer(RESULT.invalidDnSyntax, 'invalid DN');
  return checkPassword(session, messageId, name, key, bytes.slice(password.start, password.end));
}

/** The name that was bound with last: most hosts use the same account. */
let lastName: { name: string; key: string | null } = { name: '', key: null };

function keyOf(name: string): string | null {
  if (lastName.name !== name) lastName = { name, key: dnKey(name) };
  return lastName.key;
}

function checkPassword(
  session: Session,
  messageId: number,
  name: string,
  key: string,
  password: Uint8Array,
): Promise<() => void> | null {
  const { context, transport } = session;
  const wait = context.throttle.waitFor(transport.address, key, context.now());
  const attempt = { dn: name, password, certificate: session.certificate };
  const check = () => context.checker.checkBind(attempt);
  const found = wait === 0 ? check() : wait === null ? null : checkLater(session, wait, check);
  const accept = (identity: Identity): void => {
    context.throttle.succeeded(transport.address, key);
    if (!transport.secure) noteClearText(context, transport.address, name);
    become(session, identity);
    respond(session, messageId, OP.bindResponse, RESULT.success);
  };
  if (found !== null && !(found instanceof Promise)) {
    password.fill(0);
    accept(found);
    return null;
  }
  return settled(found, password).then(async (identity) => {
    if (identity !== null) return () => accept(identity);
    await noteFailure(context, transport.address, name, key, wait !== null);
    return () => refuse(session, messageId, OP.bindResponse, RESULT.invalidCredentials, '');
  });
}

/** Looks at a password after a while, unless the client is gone: a guess costs its connection for as long. */
async function checkLater(
  session: Session,
  milliseconds: number,
  check: () => Identity | null | Promise<Identity | null>,
): Promise<Identity | null> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
  return session.ended ? null : check();
}

async function settled(found: Promise<Identity | null> | null, password: Uint8Array): Promise<Identity | null> {
  try {
    return await found;
  } finally {
    password.fill(0);
  }
}

/** Counts a wrong password and holds the refusal back. */
async function noteFailure(
  { stats, throttle, settings, now, report }: Context,
  address: string,
  dn: string,
  key: string,
  allowed: boolean,
): Promise<void> {
  stats.bindFailures++;
  if (allowed) throttle.failed(address, key, now());
  else reject(stats, 'bind_throttled');
  await new Promise((resolve) => setTimeout(resolve, settings.limits.bindFailureDelay).unref());
  report({ kind: 'bind', address, dn, outcome: allowed ? 'refused' : 'withheld' });
}

/** Addresses whose passwords were seen in clear text; said once each. */
function noteClearText(context: Context, address: string, dn: string): void {
  if (context.clearText.has(address) || isLoopback(address)) return;
  if (context.clearText.size < 10_000) context.clearText.add(address);
  context.report({ kind: 'clear-text-password', address, dn });
}

const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.');

/** SASL: EXTERNAL with the certificate of the TLS layer, and nothing else (RFC 4513 5.2.3). */
function handleSasl(session: Session, request: BindRequest): null {
  const { messageId, authentication, bytes } = request;
  if (authentication.method !== 'sasl') return null;
  if (authentication.mechanism !== 'EXTERNAL') {
    refuse(session, messageId, OP.bindResponse, RESULT.authMethodNotSupported, 'only EXTERNAL is supported');
    return null;
  }
  const identity = session.certificateIdentity;
  if (identity === null) {
    refuse(session, messageId, OP.bindResponse, RESULT.inappropriateAuthentication, 'no verified client certificate');
    return null;
  }
  const wanted = authentication.credentials === null ? '' : textOf(bytes, authentication.credentials);
  if (!isAuthorisedAs(identity, wanted)) {
    refuse(session, messageId, OP.bindResponse, RESULT.invalidCredentials, '');
    return null;
  }
  become(session, identity);
  // Credentials of the server: none, but present, as clients of SASL expect at the end of an exchange.
  respond(session, messageId, OP.bindResponse, RESULT.success, { extra: [element(0x87)] });
  return null;
}

/** Whether an authorisation identity (RFC 4513 5.2.1.8) is the identity itself: one may not act for another. */
function isAuthorisedAs(identity: Identity, wanted: string): boolean {
  if (wanted === '') return true;
  if (wanted.startsWith('dn:')) {
    const key = dnKey(wanted.slice(3));
    return key !== null && key === dnKey(identity.dn);
  }
  return wanted.startsWith('u:') && identity.hostNames.includes(wanted.slice(2).toLowerCase());
}
