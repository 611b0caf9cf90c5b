import { normalize } from '../matching/normalize.ts';
import { createScratch, grow } from '../matching/scratch.ts';
import { prepareText } from '../matching/text.ts';
import { parseTime } from '../matching/time.ts';
import { FOLD, type MatchKind, NO_MATCH, TIME, WHOLE } from '../schema/rules.ts';
import type { ValueMatcher } from './test.ts';

const stored = createScratch();
const assertion = createScratch();
const spoken = createScratch();

/** What is in `stored`: the leaves of a filter look at the same value in turn. */
const NOTHING: Uint8Array = new Uint8Array(0);
const seen = { bytes: NOTHING, start: -1, end: -1, kind: NO_MATCH as MatchKind, length: 0 };

/** Lets go of the snapshot that the value was part of. */
export function forgetValue(): void {
  seen.bytes = NOTHING;
  seen.start = -1;
}

/** Brings a stored value into normal form. @returns the length in `stored`, -1 when it does not have the syntax. */
function normalizeStored(kind: MatchKind, bytes: Uint8Array, start: number, end: number): number {
  if (seen.start !== start || seen.end !== end || seen.kind !== kind || seen.bytes !== bytes) {
    seen.length = normalize(kind, bytes, start, end, stored);
    seen.bytes = bytes;
    seen.start = start;
    seen.end = end;
    seen.kind = kind;
  }
  return seen.length;
}

/** The assertion's normal form as bytes of its own; null when it does not have the syntax. */
export function normalForm(kind: MatchKind, bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  const length = normalize(kind, bytes, start, end, assertion);
  return length < 0 ? null : assertion.bytes.slice(0, length);
}

function compare(bytes: Uint8Array, length: number, wanted: Uint8Array): number {
  const shared = Math.min(length, wanted.length);
  for (let i = 0; i < shared; i++) if (bytes[i] !== wanted[i]) return bytes[i]! - wanted[i]!;
  return length - wanted.length;
}

/** equalityMatch: same normal form. */
export function equalTo(kind: MatchKind, wanted: Uint8Array): ValueMatcher {
  return (bytes, start, end) => {
    const length = normalizeStored(kind, bytes, start, end);
    return length === wanted.length && compare(stored.bytes, length, wanted) === 0;
  };
}

/** Orders two decimal numbers in normal form, however long they are. */
function compareDecimal(a: Uint8Array, length: number, b: Uint8Array): number {
  const [negativeA, negativeB] = [a[0] === 0x2d, b[0] === 0x2d];
  if (negativeA !== negativeB) return negativeA ? -1 : 1;
  const order = length === b.length ? compare(a, length, b) : length - b.length;
  return negativeA ? -order : order;
}

/** greaterOrEqual (`sign` 1) and lessOrEqual (`sign` −1) for text, integers and UUIDs. */
export function ordered(kind: MatchKind, wanted: Uint8Array, sign: 1 | -1): ValueMatcher {
  return (bytes, start, end) => {
    const length = normalizeStored(kind, bytes, start, end);
    if (length < 0) return false;
    const order = kind === WHOLE ? compareDecimal(stored.bytes, length, wanted) : compare(stored.bytes, length, wanted);
    return order * sign >= 0;
  };
}

/** An ordering rule in an extensible match (RFC 4517 4.2): the value comes before the assertion. */
export function before(kind: MatchKind, wanted: Uint8Array): ValueMatcher {
  const reaches = kind === TIME ? orderedTime(decimal(wanted), 1) : ordered(kind, wanted, 1);
  return (bytes, start, end) => !reaches(bytes, start, end);
}

/** A number in normal form; times have one as well. */
const decimal = (form: Uint8Array): number => Number(Buffer.from(form).toString('latin1'));

/** greaterOrEqual and lessOrEqual for times. */
export function orderedTime(wanted: number, sign: 1 | -1): ValueMatcher {
  return (bytes, start, end) => (parseTime(bytes, start, end) - wanted) * sign >= 0;
}

/** One part of a substring assertion. */
export interface Part {
  place: 'initial' | 'any' | 'final';
  /** With its space in the form of RFC 4518 2.6.1. */
  bytes: Uint8Array;
  /** In normal form, without space at its ends: how the keys of matching values begin when the part is the initial one. */
  key: Uint8Array;
}

const SPACE = 0x20;
const widened = createScratch();

/**
 * Brings the space of a normal form into the form in which parts are found (RFC 4518 2.6.1): two between words and one
 * at each end that is asked for, so that `foo ` and ` bar` both find theirs in `foo bar`.
 *
 * @returns the length in `widened`.
 */
function widen(form: Uint8Array, start: number, end: number, before: boolean, after: boolean): number {
  const target = grow(widened, (end - start) * 2 + 2);
  let length = 0;
  if (before) target[length++] = SPACE;
  for (let i = start; i < end; i++) {
    target[length++] = form[i]!;
    if (form[i] === SPACE) target[length++] = SPACE;
  }
  if (after) target[length++] = SPACE;
  return length;
}

/** A value as parts are found in it. @returns the length in `widened`, -1 when it is no text. */
function widenValue(kind: MatchKind, bytes: Uint8Array, start: number, end: number): number {
  const length = normalizeStored(kind, bytes, start, end);
  if (length < 0) return -1;
  const isBlank = length === 0 || (length === 1 && stored.bytes[0] === SPACE);
  return widen(stored.bytes, 0, isBlank ? 0 : length, true, true);
}

/** Prepares a part of an assertion; null when it is no text. */
export function preparePart(
  kind: MatchKind,
  place: Part['place'],
  bytes: Uint8Array,
  start: number,
  end: number,
): Part | null {
  const length = prepareText(bytes, start, end, kind === FOLD, assertion, false);
  if (length < 0) return null;
  const form = assertion.bytes;
  const [leads, trails] = [form[0] === SPACE, form[length - 1] === SPACE];
  if (length === 1 && leads) return { place, bytes: Uint8Array.of(SPACE), key: new Uint8Array(0) };
  const [from, to] = [leads ? 1 : 0, trails ? length - 1 : length];
  const size = widen(form, from, to, leads || place === 'initial', trails || place === 'final');
  return { place, bytes: widened.bytes.slice(0, size), key: form.slice(from, to) };
}

function indexOf(bytes: Uint8Array, from: number, end: number, part: Uint8Array): number {
  const last = end - part.length;
  for (let at = from; at <= last; at++) {
    let i = 0;
    while (i < part.length && bytes[at + i] === part[i]) i++;
    if (i === part.length) return at;
  }
  return -1;
}

/** substrings: the parts in their order, without overlap. */
export function containing(kind: MatchKind, parts: readonly Part[]): ValueMatcher {
  return (bytes, start, end) => {
    let length = widenValue(kind, bytes, start, end);
    if (length < 0) return false;
    const value = widened.bytes;
    let at = 0;
    for (const { place, bytes: part } of parts) {
      if (place === 'any') {
        const position = indexOf(value, at, length, part);
        if (position < 0) return false;
        at = position + part.length;
        continue;
      }
      const position = place === 'initial' ? 0 : length - part.length;
      if (position < at || position + part.length > length) return false;
      for (let i = 0; i < part.length; i++) if (value[position + i] !== part[i]) return false;
      if (place === 'initial') at = part.length;
      else length = position;
    }
    return true;
  };
}

const isSignificant = (byte: number): boolean =>
  byte >= 0x80 || (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a);

function letters(bytes: Uint8Array, length: number): number {
  let kept = 0;
  for (let i = 0; i < length; i++) if (isSignificant(bytes[i]!)) bytes[kept++] = bytes[i]!;
  return kept;
}

/** approxMatch: equal when only letters and digits count, whatever their case. */
export function soundsLike(bytes: Uint8Array, start: number, end: number): ValueMatcher | null {
  const length = prepareText(bytes, start, end, true, assertion);
  if (length < 0) return null;
  const wanted = assertion.bytes.slice(0, letters(assertion.bytes, length));
  return (value, from, to) => {
    const kept = letters(spoken.bytes, Math.max(0, prepareText(value, from, to, true, spoken)));
    return kept === wanted.length && compare(spoken.bytes, kept, wanted) === 0;
  };
}

/** A number of 64 bits; null when it has more. */
function bitsOf(form: Uint8Array, length: number): bigint | null {
  if (length > 20) return null;
  const value = BigInt(Buffer.from(form.subarray(0, length)).toString('latin1'));
  return BigInt.asIntN(64, value) === value ? value : null;
}

/** The two bit rules: all bits of the assertion set, or any of them; negative numbers in two's complement. */
export function bits(rule: 'and' | 'or', wanted: Uint8Array): ValueMatcher | null {
  const mask = bitsOf(wanted, wanted.length);
  if (mask === null) return null;
  return (bytes, start, end) => {
    const length = normalizeStored(WHOLE, bytes, start, end);
    const value = length < 0 ? null : bitsOf(stored.bytes, length);
    if (value === null) return false;
    return rule === 'and' ? (value & mask) === mask : (value & mask) !== 0n;
  };
}
