import { normalize } from '../matching/normalize.ts';
import { createScratch } from '../matching/scratch.ts';
import { type MatchKind, NAME } from '../schema/rules.ts';
import { hashKey } from './hash.ts';
import { found, NAME_KEY, readElement, type Snapshot } from './snapshot.ts';

const stored = createScratch();

/** Whether a key's value, brought into normal form again, is this one. */
function isKey(snapshot: Snapshot, key: number, attribute: number, bytes: Uint8Array, length: number): boolean {
  if (snapshot.keyAttribute[key] !== attribute) return false;
  // Names on the way to the base that no entry has.
  if (snapshot.keyStart[key] === snapshot.keyStart[key + 1]) return false;
  const kind = attribute === NAME_KEY ? NAME : (snapshot.kinds[attribute] as MatchKind);
  readElement(snapshot.arena, snapshot.keyValue[key]!);
  if (normalize(kind, snapshot.arena, found.start, found.end, stored) !== length) return false;
  for (let i = 0; i < length; i++) if (stored.bytes[i] !== bytes[i]) return false;
  return true;
}

/** Number of the key with this normal form; -1 when no entry has it. `bytes` must not be a scratch of this module. */
export function findKey(snapshot: Snapshot, attribute: number, bytes: Uint8Array, length: number): number {
  const { slots } = snapshot;
  const mask = slots.length / 2 - 1;
  const hash = hashKey(snapshot.hashSeed, attribute, bytes, length);
  let slot = hash & mask;
  for (;;) {
    const entry = slots[slot * 2 + 1]!;
    if (entry === 0) return -1;
    if (slots[slot * 2] === hash && isKey(snapshot, entry - 1, attribute, bytes, length)) return entry - 1;
    slot = (slot + 1) & mask;
  }
}

/** Position of the first of `length` ascending numbers from `start` on that is at least `wanted`. */
export function lowerBound(numbers: Uint32Array, start: number, end: number, wanted: number): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether entry `ordinal` has the key. */
export function hasKey(snapshot: Snapshot, key: number, ordinal: number): boolean {
  const end = snapshot.keyStart[key + 1]!;
  const at = lowerBound(snapshot.postings, snapshot.keyStart[key]!, end, ordinal);
  return at < end && snapshot.postings[at] === ordinal;
}

/**
 * The keys of an attribute that begin with a prefix in normal form, as a range of the attribute's sorted keys.
 *
 * @returns null when the attribute's keys are not kept in order.
 */
export function prefixRange(
  snapshot: Snapshot,
  attribute: number,
  prefix: Uint8Array,
  length: number,
): { keys: Uint32Array; start: number; end: number } | null {
  const entry = snapshot.sorted.find((candidate) => candidate.attribute === attribute);
  if (entry === undefined) return null;
  const { keys } = entry;
  const bound = (above: boolean): number => {
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = comparePrefix(snapshot, keys[middle]!, attribute, prefix, length);
      if (order < 0 || (above && order === 0)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return { keys, start: bound(false), end: bound(true) };
}

/** Negative: the key sorts before everything with the prefix; zero: it has the prefix. */
function comparePrefix(snapshot: Snapshot, key: number, attribute: number, prefix: Uint8Array, length: number): number {
  readElement(snapshot.arena, snapshot.keyValue[key]!);
  const kind = snapshot.kinds[attribute] as MatchKind;
  const storedLength = normalize(kind, snapshot.arena, found.start, found.end, stored);
  const shared = Math.min(storedLength, length);
  for (let i = 0; i < shared; i++) {
    const difference = stored.bytes[i]! - prefix[i]!;
    if (difference !== 0) return difference;
  }
  return storedLength < length ? -1 : 0;
}
