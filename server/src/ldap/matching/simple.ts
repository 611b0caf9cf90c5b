import { DESCRIPTOR, EXACT, FLAG, FOLD, type MatchKind, OCTETS, TIME, UUID, WHOLE } from '../schema/rules.ts';
import { grow, type Scratch } from './scratch.ts';
import { prepareText } from './text.ts';
import { parseTime } from './time.ts';

/**
 * Brings a value of any kind but a DN into the form in which equal values have equal bytes.
 *
 * @returns the length written from the scratch's start, or -1 when the value does not have the syntax.
 */
export function normalizeSimple(kind: MatchKind, bytes: Uint8Array, start: number, end: number, out: Scratch): number {
  switch (kind) {
    case FOLD:
      return prepareText(bytes, start, end, true, out);
    case EXACT:
      return prepareText(bytes, start, end, false, out);
    case WHOLE:
      return normalizeInteger(bytes, start, end, out);
    case UUID:
      return normalizeUuid(bytes, start, end, out);
    case DESCRIPTOR:
      return prepareText(bytes, start, end, true, out);
    case TIME:
      return normalizeTime(bytes, start, end, out);
    case FLAG:
      return normalizeFlag(bytes, start, end, out);
    case OCTETS:
      return copy(bytes, start, end, out);
    default:
      return -1;
  }
}

function copy(bytes: Uint8Array, start: number, end: number, out: Scratch): number {
  const target = grow(out, end - start);
  for (let i = start; i < end; i++) target[i - start] = bytes[i]!;
  return end - start;
}

/** INTEGER (RFC 4517 3.3.16) has one spelling for each number: no zeros in front, no minus zero. */
function normalizeInteger(bytes: Uint8Array, start: number, end: number, out: Scratch): number {
  const negative = start < end && bytes[start] === 0x2d;
  const first = negative ? start + 1 : start;
  if (first === end) return -1;
  for (let i = first; i < end; i++) if (bytes[i]! < 0x30 || bytes[i]! > 0x39) return -1;
  if (bytes[first] === 0x30 && (negative || end - first > 1)) return -1;
  return copy(bytes, start, end, out);
}

function normalizeUuid(bytes: Uint8Array, start: number, end: number, out: Scratch): number {
  if (end - start !== 36) return -1;
  const target = grow(out, 36);
  for (let i = 0; i < 36; i++) {
    let byte = bytes[start + i]!;
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (byte !== 0x2d) return -1;
    } else {
      if (byte >= 0x41 && byte <= 0x46) byte |= 0x20;
      if (!((byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66))) return -1;
    }
    target[i] = byte;
  }
  return 36;
}

function normalizeTime(bytes: Uint8Array, start: number, end: number, out: Scratch): number {
  const seconds = parseTime(bytes, start, end);
  if (Number.isNaN(seconds)) return -1;
  const text = String(seconds);
  const target = grow(out, text.length);
  for (let i = 0; i < text.length; i++) target[i] = text.charCodeAt(i);
  return text.length;
}

const TRUE = [0x54, 0x52, 0x55, 0x45];
const FALSE = [0x46, 0x41, 0x4c, 0x53, 0x45];

function normalizeFlag(bytes: Uint8Array, start: number, end: number, out: Scratch): number {
  const word = end - start === 4 ? TRUE : FALSE;
  if (end - start !== word.length) return -1;
  const target = grow(out, 5);
  for (let i = 0; i < word.length; i++) {
    if ((bytes[start + i]! & 0xdf) !== word[i]) return -1;
    target[i] = word[i]!;
  }
  return word.length;
}
