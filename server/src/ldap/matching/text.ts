import { isUtf8 } from 'node:buffer';
import { grow, type Scratch } from './scratch.ts';

const SPACE = 0x20;

/** RFC 4518 2.2: mapped to nothing. */
const IGNORED =
  /[\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f\u00ad\u06dd\u070f\u1806\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2063\u206a-\u206f\ufeff\ufff9-\ufffc]|\u034f|\p{Variation_Selector}/gu;
/** RFC 4518 2.2: mapped to a space. */
const SEPARATORS = /[\u0009-\u000d\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/g;

/** More marks on one letter than any language has (UAX 15, 13): sorting them takes time that grows with their square. */
const HEAPED_MARKS = /\p{M}{31}/u;

/**
 * RFC 4518 for text with letters beyond ASCII. Final sigma is not told apart: folding must not depend on position. The
 * capital sharp s is one letter in capitals and two after it has been a small one, so small letters come first.
 */
function prepareUnicode(text: string, fold: boolean): string {
  const plain = text.replace(IGNORED, '').replace(SEPARATORS, ' ');
  if (HEAPED_MARKS.test(plain)) return plain;
  const mapped = plain.normalize('NFKC');
  return fold ? mapped.toLowerCase().toUpperCase().toLowerCase().normalize('NFKC').replaceAll('ς', 'σ') : mapped;
}

/**
 * Brings text into the form in which it is compared: letters folded if wanted, control characters dropped, runs of space
 * made one, none at the ends of the value.
 *
 * @param isValue false for a part of one, at whose ends space stays.
 * @returns the length written from the scratch's start, or -1 when the bytes are no UTF-8.
 */
export function prepareText(
  bytes: Uint8Array,
  start: number,
  end: number,
  fold: boolean,
  out: Scratch,
  isValue = true,
): number {
  const target = grow(out, end - start + 1);
  let length = 0;
  let spaces = isValue;
  for (let i = start; i < end; i++) {
    let byte = bytes[i]!;
    if (byte > SPACE && byte < 0x7f) {
      if (fold && byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
      target[length++] = byte;
      spaces = false;
    } else if (byte === SPACE || (byte >= 0x09 && byte <= 0x0d)) {
      if (!spaces) target[length++] = SPACE;
      spaces = true;
    } else if (byte >= 0x80) {
      return prepareWide(bytes, start, end, fold, out, isValue);
    }
  }
  return trimEnd(target, length, end > start, isValue);
}

function trimEnd(target: Uint8Array, length: number, hadText: boolean, isValue: boolean): number {
  let trimmed = length;
  if (isValue && trimmed > 0 && target[trimmed - 1] === SPACE) trimmed--;
  // What consists of space only is one space, not nothing.
  if (trimmed === 0 && hadText) target[trimmed++] = SPACE;
  return trimmed;
}

function prepareWide(
  bytes: Uint8Array,
  start: number,
  end: number,
  fold: boolean,
  out: Scratch,
  isValue: boolean,
): number {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  if (!isUtf8(source)) return -1;
  const prepared = Buffer.from(prepareUnicode(source.toString('utf8'), fold), 'utf8');
  const target = grow(out, prepared.length + 1);
  let length = 0;
  let spaces = isValue;
  for (const byte of prepared) {
    if (byte === SPACE) {
      if (!spaces) target[length++] = SPACE;
      spaces = true;
    } else {
      target[length++] = byte;
      spaces = false;
    }
  }
  return trimEnd(target, length, end > start, isValue);
}
