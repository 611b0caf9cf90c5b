import {
  type BerReader,
  createReader,
  enter,
  fail,
  leave,
  leaveExtensible,
  peekTag,
  readBoolean,
  readEnumerated,
  readInteger,
  readOctets,
} from '../ber/reader.ts';
import { OCTET_STRING, SEQUENCE } from '../ber/tag.ts';
import { CONTROLS_TAG, decodeControls, NO_CONTROLS } from './decode-controls.ts';
import { decodeFilter, FILTER_LIMITS, type FilterLimits, readSelection } from './decode-filter.ts';
import { OP } from './operation.ts';
import type { Controls, ProtocolError, Request, Span } from './request.ts';

const error = (text: string): ProtocolError => ({ kind: 'protocol-error', text });

/** What the functions below fill in before the controls are known. */
type Operation = Request extends infer R
  ? R extends Request
    ? Omit<R, 'messageId' | 'bytes' | 'controls'> & { controls?: Controls }
    : never
  : never;

/**
 * Decodes one whole LDAPMessage (RFC 4511 4.1.1). Total: every input yields a request or a protocol error, nothing is
 * thrown, and nothing beyond `end` is looked at.
 *
 * @param bytes borrowed: the request points into them.
 */
export function decodeRequest(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
  limits: FilterLimits = FILTER_LIMITS,
): Request | ProtocolError {
  const reader = createReader(bytes, start, end);
  const outer = enter(reader, SEQUENCE);
  if (reader.failed) return error('not an LDAP message');
  const messageId = readInteger(reader);
  if (reader.failed) return error('message without an id');
  // 0 is for what the server says unasked.
  if (messageId < 1) return error('message id out of range');
  const tag = peekTag(reader);
  const operation = decodeOperation(reader, tag, limits);
  if (operation === null) return error('unknown operation');
  if (reader.failed) return error('operation cannot be read');
  const controls =
    peekTag(reader) === CONTROLS_TAG
      ? decodeControls(reader, tag === OP.searchRequest)
      : (operation.controls ?? NO_CONTROLS);
  leave(reader, outer);
  if (reader.failed || reader.at !== end) return error('trailing bytes in a message');
  const request = operation as Request;
  request.messageId = messageId;
  request.bytes = bytes;
  request.controls = controls;
  return request;
}

function decodeOperation(reader: BerReader, tag: number, limits: FilterLimits): Operation | null {
  switch (tag) {
    case OP.searchRequest:
      return decodeSearch(reader, limits);
    case OP.bindRequest:
      return decodeBind(reader);
    case OP.unbindRequest:
      // NULL; what later versions might put there is of no interest any more.
      readOctets(reader, tag);
      return { kind: 'unbind' };
    case OP.abandonRequest:
      return { kind: 'abandon', target: readInteger(reader, tag) };
    case OP.compareRequest:
      return decodeCompare(reader);
    case OP.extendedRequest:
      return decodeExtended(reader);
    case OP.modifyRequest:
    case OP.addRequest:
    case OP.deleteRequest:
    case OP.modifyDnRequest:
      readOctets(reader, tag);
      return { kind: 'update', responseTag: tag === OP.deleteRequest ? OP.deleteResponse : tag + 1 };
    default:
      return null;
  }
}

function readSpan(reader: BerReader, tag: number): Span {
  const start = readOctets(reader, tag);
  return { start, end: start + reader.length };
}

function readText(reader: BerReader, tag: number): string {
  const { start, end } = readSpan(reader, tag);
  return Buffer.from(reader.bytes.buffer, reader.bytes.byteOffset + start, end - start).toString('latin1');
}

function decodeSearch(reader: BerReader, limits: FilterLimits): Operation {
  const outer = enter(reader, OP.searchRequest);
  const whole = { start: reader.at, end: reader.end };
  const base = readSpan(reader, OCTET_STRING);
  const scope = readEnumerated(reader);
  const deref = readEnumerated(reader);
  const sizeLimit = readInteger(reader);
  const timeLimit = readInteger(reader);
  const typesOnly = readBoolean(reader);
  const filter = decodeFilter(reader, limits);
  const attributes = readSelection(reader);
  whole.end = reader.at;
  // Where libldap follows a referral it writes the controls of the search behind the attributes, inside the operation.
  const inside = reader.at < reader.end && peekTag(reader) === CONTROLS_TAG ? decodeControls(reader, true) : null;
  leave(reader, outer);
  // Two lists of controls: which of them counts would be for the attacker to choose.
  if (inside !== null && peekTag(reader) === CONTROLS_TAG) fail(reader);
  let text: string | null = null;
  if (scope < 0 || scope > 3) text = 'invalid scope';
  else if (deref < 0 || deref > 3) text = 'invalid alias dereferencing';
  else if (sizeLimit < 0 || timeLimit < 0) text = 'negative limit';
  if (text !== null) return { kind: 'unacceptable', responseTag: OP.searchDone, text };
  const search: Operation = { kind: 'search', base, scope, sizeLimit, timeLimit, typesOnly, filter, attributes, whole };
  if (inside !== null) search.controls = inside;
  return search;
}

const SIMPLE = 0x80;
const SASL = 0xa3;

function decodeBind(reader: BerReader): Operation {
  const outer = enter(reader, OP.bindRequest);
  const version = readInteger(reader);
  const name = readSpan(reader, OCTET_STRING);
  const choice = peekTag(reader);
  if (choice === SIMPLE) {
    const password = readSpan(reader, SIMPLE);
    leave(reader, outer);
    return { kind: 'bind', version, name, authentication: { method: 'simple', password } };
  }
  // Version 2 and later versions may have other choices; the answer is about the version then.
  if (choice !== SASL) {
    leaveExtensible(reader, outer);
    return { kind: 'bind', version, name, authentication: { method: 'sasl', mechanism: '', credentials: null } };
  }
  const end = enter(reader, SASL);
  const mechanism = readText(reader, OCTET_STRING);
  const credentials = peekTag(reader) === OCTET_STRING ? readSpan(reader, OCTET_STRING) : null;
  leave(reader, end);
  leave(reader, outer);
  return { kind: 'bind', version, name, authentication: { method: 'sasl', mechanism, credentials } };
}

function decodeCompare(reader: BerReader): Operation {
  const outer = enter(reader, OP.compareRequest);
  const entry = readSpan(reader, OCTET_STRING);
  const end = enter(reader, SEQUENCE);
  const attribute = readSpan(reader, OCTET_STRING);
  const value = readSpan(reader, OCTET_STRING);
  leave(reader, end);
  leave(reader, outer);
  return { kind: 'compare', entry, attribute, value };
}

function decodeExtended(reader: BerReader): Operation {
  const outer = enter(reader, OP.extendedRequest);
  const name = readText(reader, 0x80);
  const value = peekTag(reader) === 0x81 ? readSpan(reader, 0x81) : null;
  leave(reader, outer);
  if (name === '') fail(reader);
  return { kind: 'extended', name, value };
}
