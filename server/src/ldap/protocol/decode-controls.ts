import {
  type BerReader,
  createReader,
  enter,
  leave,
  peekTag,
  readBoolean,
  readInteger,
  readOctets,
} from '../ber/reader.ts';
import { BOOLEAN, OCTET_STRING, SEQUENCE } from '../ber/tag.ts';
import { OID } from './operation.ts';
import type { Controls } from './request.ts';

export const CONTROLS_TAG = 0xa0;

/** Controls of a message that has none. Shared: it is never written into. */
export const NO_CONTROLS: Controls = Object.freeze({ unavailable: false, paging: null, malformed: null });

const PAGING = Buffer.from(OID.paging);
const IGNORED = [OID.passwordPolicy, OID.manageDsaIt].map((oid) => Buffer.from(oid));

function equals(wanted: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  if (wanted.length !== length) return false;
  for (let i = 0; i < length; i++) if (wanted[i] !== bytes[start + i]) return false;
  return true;
}

/** Reads the controls of a message (RFC 4511 4.1.11). @param forSearch whether paging has a meaning. */
export function decodeControls(reader: BerReader, forSearch: boolean): Controls {
  const controls: Controls = { unavailable: false, paging: null, malformed: null };
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
