import {
  type BerReader,
  createReader,
  enter,
  fail,
  leave,
  peekTag,
  readBoolean,
  readInteger,
  readOctets,
  skip,
} from '../ber/reader.ts';
import { BOOLEAN, OCTET_STRING, SEQUENCE } from '../ber/tag.ts';
import { readSelection } from './decode-filter.ts';
import { OID } from './operation.ts';
import type { Controls, DereferenceRequest, Span } from './request.ts';

export const CONTROLS_TAG = 0xa0;

/** Controls of a message that has none. Shared: it is never written into. */
export const NO_CONTROLS: Controls = Object.freeze({
  unavailable: false,
  paging: null,
  dereference: null,
  malformed: null,
});

const PAGING = Buffer.from(OID.paging);
const DEREFERENCE = Buffer.from(OID.dereference);
const IGNORED = [OID.passwordPolicy, OID.manageDsaIt].map((oid) => Buffer.from(oid));

function equals(wanted: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  if (wanted.length !== length) return false;
  for (let i = 0; i < length; i++) if (wanted[i] !== bytes[start + i]) return false;
  return true;
}

/** Reads the controls of a message (RFC 4511 4.1.11). @param forSearch whether paging and dereferencing have a meaning. */
export function decodeControls(reader: BerReader, forSearch: boolean): Controls {
  const controls: Controls = { unavailable: false, paging: null, dereference: null, malformed: null };
  const outer = enter(reader, CONTROLS_TAG);
  while (reader.at < reader.end && !reader.failed) {
    const end = enter(reader, SEQUENCE);
    const type = readOctets(reader, OCTET_STRING);
    const typeLength = reader.length;
    const critical = peekTag(reader) === BOOLEAN && readBoolean(reader);
    const hasValue = peekTag(reader) === OCTET_STRING;
    const value = hasValue ? readOctets(reader, OCTET_STRING) : -1;
    const valueEnd = value + reader.length;
    leave(reader, end);
    if (reader.failed) break;
    if (equals(PAGING, reader.bytes, type, typeLength) && forSearch) {
      readPaging(reader.bytes, value, valueEnd, critical, controls);
    } else if (equals(DEREFERENCE, reader.bytes, type, typeLength) && forSearch) {
      readDereference(reader.bytes, value, valueEnd, critical, controls);
    } else if (critical && !IGNORED.some((oid) => equals(oid, reader.bytes, type, typeLength))) {
      controls.unavailable = true;
    }
  }
  leave(reader, outer);
  return controls;
}

function readPaging(bytes: Uint8Array, start: number, end: number, critical: boolean, controls: Controls): void {
  if (controls.paging !== null) controls.malformed = 'paged results control given twice';
  else if (start < 0) controls.malformed = 'paged results control without a value';
  else {
    const reader = createReader(bytes, start, end);
    const outer = enter(reader, SEQUENCE);
    const size = readInteger(reader);
    const cookie = readOctets(reader, OCTET_STRING);
    const cookieEnd = cookie + reader.length;
    leave(reader, outer);
    if (reader.failed || reader.at !== end || size < 0) controls.malformed = 'paged results control cannot be read';
    else controls.paging = { critical, size, cookie: { start: cookie, end: cookieEnd } };
  }
}

/** sssd sends one wish with about a dozen attributes; each attribute is looked for in each entry that is named. */
const MOST_WISHES = 8;
const MOST_ATTRIBUTES = 128;

function readDereference(bytes: Uint8Array, start: number, end: number, critical: boolean, controls: Controls): void {
  if (controls.dereference !== null) controls.malformed = 'dereference control given twice';
  else if (start < 0) controls.malformed = 'dereference control without a value';
  else {
    const reader = createReader(bytes, start, end);
    const wishes = readWishes(reader);
    if (reader.failed || reader.at !== end) controls.malformed = 'dereference control cannot be read';
    else if (wishes === null) controls.malformed = 'dereference control wants too much';
    else controls.dereference = { critical, whole: { start, end }, wishes };
  }
}

/** @returns null when there are more than are taken. */
function readWishes(reader: BerReader): DereferenceRequest['wishes'] | null {
  const wishes: { attribute: Span; attributes: Span }[] = [];
  let attributeCount = 0;
  const outer = enter(reader, SEQUENCE);
  while (reader.at < reader.end && !reader.failed) {
    const inner = enter(reader, SEQUENCE);
    const attribute = readOctets(reader, OCTET_STRING);
    const attributeEnd = attribute + reader.length;
    const attributes = readSelection(reader);
    leave(reader, inner);
    // draft-masarati-ldap-deref 2.2 has at least one; nothing at all would be dereferenced without.
    if (attributes.start === attributes.end) fail(reader);
    wishes.push({ attribute: { start: attribute, end: attributeEnd }, attributes });
    attributeCount += countElements(reader.bytes, attributes);
    if (wishes.length > MOST_WISHES || attributeCount > MOST_ATTRIBUTES) return null;
  }
  leave(reader, outer);
  return wishes;
}

/** Elements of a list that has been checked. */
function countElements(bytes: Uint8Array, { start, end }: Span): number {
  const reader = createReader(bytes, start, end);
  let count = 0;
  for (; reader.at < reader.end; count++) skip(reader);
  return count;
}
