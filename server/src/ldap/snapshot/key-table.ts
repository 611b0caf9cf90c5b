import { type GrowingBytes, type GrowingNumbers, growingBytes, growingNumbers, push, room } from './growing.ts';
import { hashKey } from './hash.ts';

/**
 * Keys (attribute, normal form) while a snapshot is built, each with a number. Typed arrays throughout: half a million
 * strings in a Map would keep the collector busy for longer than all other work takes.
 */
export interface KeyTable {
  seed: number;
  /** Key number + 1, or 0. */
  slots: Uint32Array;
  count: number;
  hash: GrowingNumbers;
  attribute: GrowingNumbers;
  start: GrowingNumbers;
  length: GrowingNumbers;
  bytes: GrowingBytes;
}

export function createKeyTable(seed: number): KeyTable {
  return {
    seed,
    slots: new Uint32Array(1 << 12),
    count: 0,
    hash: growingNumbers(),
    attribute: growingNumbers(),
    start: growingNumbers(),
    length: growingNumbers(),
    bytes: growingBytes(),
  };
}

function isKey(table: KeyTable, key: number, attribute: number, bytes: Uint8Array, length: number): boolean {
  if (table.attribute.values[key] !== attribute || table.length.values[key] !== length) return false;
  const start = table.start.values[key]!;
  const stored = table.bytes.bytes;
  for (let i = 0; i < length; i++) if (stored[start + i] !== bytes[i]) return false;
  return true;
}

/** Number of a key, which is created when it is new. */
export function internKey(table: KeyTable, attribute: number, bytes: Uint8Array, length: number): number {
  if (table.count * 2 >= table.slots.length) enlarge(table);
  const hash = hashKey(table.seed, attribute, bytes, length);
  const mask = table.slots.length - 1;
  let slot = hash & mask;
  for (;;) {
    const entry = table.slots[slot]!;
    if (entry === 0) break;
    if (table.hash.values[entry - 1] === hash && isKey(table, entry - 1, attribute, bytes, length)) return entry - 1;
    slot = (slot + 1) & mask;
  }
  table.slots[slot] = ++table.count;
  push(table.hash, hash);
  push(table.attribute, attribute);
  push(table.start, table.bytes.length);
  push(table.length, length);
  const target = room(table.bytes, length);
  for (let i = 0; i < length; i++) target[table.bytes.length + i] = bytes[i]!;
  table.bytes.length += length;
  return table.count - 1;
}

function enlarge(table: KeyTable): void {
  const slots = new Uint32Array(table.slots.length * 2);
  for (let key = 0; key < table.count; key++) {
    let slot = table.hash.values[key]! & (slots.length - 1);
    while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
    slots[slot] = key + 1;
  }
  table.slots = slots;
}

/** The finished table: pairs of hash and key number + 1, two thirds full at most. */
export function finishSlots(table: KeyTable): Uint32Array {
  let capacity = 16;
  while (capacity * 2 < table.count * 3) capacity *= 2;
  const slots = new Uint32Array(capacity * 2);
  for (let key = 0; key < table.count; key++) {
    const hash = table.hash.values[key]!;
    let slot = hash & (capacity - 1);
    while (slots[slot * 2 + 1] !== 0) slot = (slot + 1) & (capacity - 1);
    slots[slot * 2] = hash;
    slots[slot * 2 + 1] = key + 1;
  }
  return slots;
}

/** Orders two keys of one attribute by their normal forms. */
export function compareKeys(table: KeyTable, a: number, b: number): number {
  const bytes = table.bytes.bytes;
  const [startA, startB] = [table.start.values[a]!, table.start.values[b]!];
  const [lengthA, lengthB] = [table.length.values[a]!, table.length.values[b]!];
  const shared = Math.min(lengthA, lengthB);
  for (let i = 0; i < shared; i++) {
    const difference = bytes[startA + i]! - bytes[startB + i]!;
    if (difference !== 0) return difference;
  }
  return lengthA - lengthB;
}
