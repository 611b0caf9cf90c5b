import { createReader, enter, leave, readInteger } from '../ber/reader.ts';
import { SEQUENCE } from '../ber/tag.ts';
import { element } from '../ber/writer.ts';
import { OID, OP, RESULT } from '../protocol/operation.ts';
import type { ExtendedRequest } from '../protocol/request.ts';
import { refuse, respond } from './respond.ts';
import type { Session } from './session.ts';

const TAG = OP.extendedResponse;

/** Extended operations (RFC 4511 4.12): WhoAmI (RFC 4532), Cancel (RFC 3909), StartTLS (RFC 4511 4.14). */
export function handleExtended(session: Session, request: ExtendedRequest): void {
  const { messageId, name } = request;
  switch (name) {
    case OID.whoAmI: {
      const identity = session.identity;
      const who = identity === null ? '' : `dn:${identity.dn}`;
      respond(session, messageId, TAG, RESULT.success, { extra: [element(0x8b, who)] });
      return;
    }
    case OID.cancel:
      handleCancel(session, request);
      return;
    case OID.startTls:
      handleStartTls(session, request);
      return;
    case OID.passwordModify:
      refuse(session, messageId, TAG, RESULT.unwillingToPerform, 'read-only directory');
      return;
    default:
      refuse(session, messageId, TAG, RESULT.protocolError, 'unknown extended operation');
  }
}

function handleCancel(session: Session, { messageId, bytes, value }: ExtendedRequest): void {
  const reader = createReader(bytes, value?.start ?? 0, value?.end ?? 0);
  const outer = enter(reader, SEQUENCE);
  const target = readInteger(reader);
  leave(reader, outer);
  if (reader.failed) {
    refuse(session, messageId, TAG, RESULT.protocolError, 'cancel without a message id');
    return;
  }
  const index = session.running.findIndex((running) => running.messageId === target);
  if (index < 0) {
    respond(session, messageId, TAG, RESULT.noSuchOperation);
    return;
  }
  session.running.splice(index, 1);
  respond(session, target, OP.searchDone, RESULT.canceled);
  respond(session, messageId, TAG, RESULT.success);
}

function handleStartTls(session: Session, { messageId }: ExtendedRequest): void {
  const { context, transport } = session;
  const extra = [element(0x8a, OID.startTls)];
  if (transport.secure || session.running.length > 0 || transport.pending() > 0) {
    respond(session, messageId, TAG, RESULT.operationsError, { extra, text: 'not now' });
    return;
  }
  if (!context.tlsAvailable) {
    respond(session, messageId, TAG, RESULT.unavailable, { extra, text: 'no certificate is configured' });
    return;
  }
  respond(session, messageId, TAG, RESULT.success, { extra });
  // What was proved in clear text may have been proved by an attacker in between (RFC 4513 3.1.5).
  session.identity = null;
  session.view = null;
  session.pages = [];
  session.waiting = true;
  session.dropRest = true;
  transport.send(context.output);
  transport.startTls();
}
