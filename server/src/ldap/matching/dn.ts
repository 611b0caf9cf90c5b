import { EXACT, FOLD, NAME, NO_MATCH } from '../schema/rules.ts';
import { attributes, findAttribute } from '../schema/schema.ts';
import { createScratch, grow, type Scratch } from './scratch.ts';
import { normalizeSimple } from './simple.ts';
import { prepareText } from './text.ts';

/**
 * A distinguished name in the form in which equal names have equal bytes, leaf first. `rdns[i]` is where the i-th RDN
 * starts, so the parent of a name is what starts at `rdns[1]`.
 */
export interface DnForm extends Scratch {
  length: number;
  rdns: number[];
}

export function createDnForm(): DnForm {
  return { bytes: new Uint8Array(1024), length: 0, rdns: [] };
}

const raw = createScratch();
const value = createScratch();
const form = createDnForm();

const SPECIAL = new Set([...'"+,;<>=\\# '].map((character) => character.charCodeAt(0)));
/** May not stand in a value without a backslash (RFC 4514 3). */
const FORBIDDEN = new Set([0x22, 0x3b, 0x3c, 0x3e, 0x00]);
const COMMA = 0x2c;
const PLUS = 0x2b;
const EQUALS = 0x3d;
const SPACE = 0x20;
const BACKSLASH = 0x5c;

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

const NOTHING = new Uint8Array(0);
/** Reads one name. State of the functions below, kept here so that parsing a name allocates nothing but its result. */
const cursor: { bytes: Uint8Array; at: number; end: number } = { bytes: NOTHING, at: 0, end: 0 };

function skipSpaces(): void {
  while (cursor.at < cursor.end && cursor.bytes[cursor.at] === SPACE) cursor.at++;
}

/** @returns false when what stands there is no `type=`. */
function readType(): { start: number; end: number } | null {
  skipSpaces();
  const start = cursor.at;
  while (cursor.at < cursor.end) {
    const byte = cursor.bytes[cursor.at]!;
    const isWord =
      (byte >= 0x30 && byte <= 0x39) ||
      (byte >= 0x41 && byte <= 0x5a) ||
      (byte >= 0x61 && byte <= 0x7a) ||
      byte === 0x2d ||
      byte === 0x2e;
    if (!isWord) break;
    cursor.at++;
  }
  const end = cursor.at;
  skipSpaces();
  if (end === start || cursor.bytes[cursor.at] !== EQUALS || cursor.at >= cursor.end) return null;
  if (!isTypeName(start, end)) return null;
  cursor.at++;
  skipSpaces();
  return { start, end };
}

const NUMERIC_OID = /^(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+$/;

/** RFC 4512 1.4: a descr begins with a letter and has no dots; a numericoid is two or more numbers with dots between. */
function isTypeName(start: number, end: number): boolean {
  const { bytes } = cursor;
  if ((bytes[start]! | 0x20) < 0x61) {
    return NUMERIC_OID.test(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1'));
  }
  for (let i = start; i < end; i++) if (bytes[i] === 0x2e) return false;
  return true;
}

/** Reads `#04…`: the BER encoding of a string in hexadecimal. @returns the length in `raw`, -1 when malformed. */
function readHexString(): number {
  cursor.at++;
  const target = grow(raw, (cursor.end - cursor.at) / 2 + 1);
  let length = 0;
  while (cursor.at + 1 < cursor.end) {
    const high = hexDigit(cursor.bytes[cursor.at]!);
    const low = hexDigit(cursor.bytes[cursor.at + 1]!);
    if (high < 0 || low < 0) break;
    target[length++] = high * 16 + low;
    cursor.at += 2;
  }
  skipSpaces();
  // Only strings in the short form: nothing longer names anything here.
  if (length < 2 || target[1] !== length - 2 || target[1] >= 0x80) return -1;
  target.copyWithin(0, 2, length);
  return length - 2;
}

/** Reads and unescapes a value up to the next separator. @returns the length in `raw`, -1 when malformed. */
function readValue(): number {
  const { bytes, end } = cursor;
  if (cursor.at < end && bytes[cursor.at] === 0x23) return readHexString();
  const target = grow(raw, end - cursor.at);
  let length = 0;
  /** Where trailing space may be cut: behind the last character that was not a bare space. */
  let kept = 0;
  while (cursor.at < end) {
    const byte = bytes[cursor.at]!;
    if (byte === COMMA || byte === PLUS) break;
    if (FORBIDDEN.has(byte)) return -1;
    if (byte === BACKSLASH) {
      const next = cursor.at + 1 < end ? bytes[cursor.at + 1]! : 0;
      const low = cursor.at + 2 < end ? hexDigit(bytes[cursor.at + 2]!) : -1;
      if (hexDigit(next) >= 0 && low >= 0) {
        target[length++] = hexDigit(next) * 16 + low;
        cursor.at += 3;
      } else if (SPECIAL.has(next)) {
        target[length++] = next;
        cursor.at += 2;
      } else return -1;
      kept = length;
    } else {
      target[length++] = byte;
      cursor.at++;
      if (byte !== SPACE) kept = length;
    }
  }
  return kept;
}

/** Brings the value in `raw` into its type's normal form. @returns -1 when it does not have the type's syntax. */
function normalizeValue(id: number, length: number): number {
  const { kind, ascii } = attributes[id]!;
  // A DN inside a DN would re-enter this parser; nothing is named that way.
  if (kind === NAME || kind === NO_MATCH) return prepareText(raw.bytes, 0, length, true, value);
  // A Directory String has at least one character (RFC 4517 3.3.6).
  if (length === 0 && (kind === FOLD || kind === EXACT)) return -1;
  if (ascii) for (let i = 0; i < length; i++) if (raw.bytes[i]! >= 0x80) return -1;
  return normalizeSimple(kind, raw.bytes, 0, length, value);
}

/** Reads `type=value` and appends its normal form: type (2 octets), length (4 octets), value. False when malformed. */
function readAssertion(out: DnForm): boolean {
  const type = readType();
  if (type === null) return false;
  const { bytes } = cursor;
  const id = findAttribute(bytes, type.start, type.end);
  const length = readValue();
  if (length < 0) return false;
  const valueLength = id < 0 ? prepareText(raw.bytes, 0, length, true, value) : normalizeValue(id, length);
  if (valueLength < 0) return false;
  const nameLength = id < 0 ? type.end - type.start + 1 : 0;
  const target = grow(out, out.length + 6 + nameLength + valueLength);
  const tag = id < 0 ? 0xffff : id;
  const size = nameLength + valueLength;
  let at = out.length;
  target[at++] = tag >>> 8;
  target[at++] = tag & 0xff;
  target[at++] = size >>> 24;
  target[at++] = size >>> 16;
  target[at++] = size >>> 8;
  target[at++] = size;
  if (id < 0) {
    for (let i = type.start; i < type.end; i++) {
      const byte = bytes[i]!;
      target[at++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    }
    target[at++] = EQUALS;
  }
  for (let i = 0; i < valueLength; i++) target[at++] = value.bytes[i]!;
  out.length = at;
  return true;
}

/** Puts the parts of an RDN into one order, whichever they came in. */
function sortParts(out: DnForm, starts: readonly number[]): void {
  const parts = starts.map((start, index) => out.bytes.slice(start, starts[index + 1] ?? out.length));
  parts.sort(Buffer.compare);
  let at = starts[0]!;
  for (const part of parts) {
    out.bytes.set(part, at);
    at += part.length;
  }
}

/** Attributes in a name, all RDNs together: beyond that it costs more to read than any name is worth. */
const MOST_PARTS = 128;

function readRdns(out: DnForm): boolean {
  const { bytes, end } = cursor;
  for (let count = 0; ; ) {
    const rdn = out.length;
    out.rdns.push(rdn);
    grow(out, out.length + 1);
    out.length++;
    const starts: number[] = [];
    for (;;) {
      if (count++ === MOST_PARTS) return false;
      starts.push(out.length);
      if (!readAssertion(out)) return false;
      if (cursor.at >= end || bytes[cursor.at] !== PLUS) break;
      cursor.at++;
    }
    out.bytes[rdn] = starts.length;
    if (starts.length > 1) sortParts(out, starts);
    if (cursor.at >= end) return true;
    // Only a comma can stand here; behind it must come another RDN.
    cursor.at++;
  }
}

/**
 * Parses a DN (RFC 4514, with space allowed around separators) into its normal form. Types are resolved by name or OID,
 * values compared by their type's rule, parts of an RDN ordered.
 *
 * @returns false when it is no DN; `out` is then worthless. The empty DN is one.
 */
export function parseDn(bytes: Uint8Array, start: number, end: number, out: DnForm): boolean {
  out.length = 0;
  out.rdns.length = 0;
  if (start === end) return true;
  cursor.bytes = bytes;
  cursor.at = start;
  cursor.end = end;
  const isDn = readRdns(out);
  // They may lie in a snapshot, which would stay in memory with them.
  cursor.bytes = NOTHING;
  return isDn;
}

/** `parseDn` for those who only want the bytes. @returns their length in `out`, -1 when it is no DN. */
export function normalizeDn(bytes: Uint8Array, start: number, end: number, out: Scratch): number {
  if (!parseDn(bytes, start, end, form)) return -1;
  const target = grow(out, form.length);
  for (let i = 0; i < form.length; i++) target[i] = form.bytes[i]!;
  return form.length;
}

/** Normal form of a DN as a string that can be compared and used as a key; null when it is no DN. */
export function dnKey(dn: string): string | null {
  const bytes = Buffer.from(dn, 'utf8');
  if (!parseDn(bytes, 0, bytes.length, form)) return null;
  return Buffer.from(form.bytes.subarray(0, form.length)).toString('latin1');
}
