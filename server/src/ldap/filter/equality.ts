import { normalize } from '../matching/normalize.ts';
import { createScratch } from '../matching/scratch.ts';
import { parseTime } from '../matching/time.ts';
import type { FilterNode } from '../protocol/decode-filter.ts';
import { DESCRIPTOR, EXACT, FOLD, type MatchKind, NO_MATCH } from '../schema/rules.ts';
import { attributes, classes, classId, ID } from '../schema/schema.ts';
import { EQUALITY_INDEXED } from '../snapshot/indexed.ts';
import { findKey } from '../snapshot/lookup.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { equalTo, normalForm } from './matchers.ts';
import { constant, FALSE, inRange, isA, onList, someValue, type Test, UNDEFINED } from './test.ts';

export const isText = (kind: MatchKind): boolean => kind === FOLD || kind === EXACT;

/** Whether bytes can be an assertion about the attribute at all: an IA5 String may be empty, a Directory String not. */
export function isAssertable(id: number, kind: MatchKind, bytes: Uint8Array, start: number, end: number): boolean {
  if (isText(kind) && start === end) return attributes[id]!.ascii;
  if (attributes[id]!.ascii) for (let i = start; i < end; i++) if (bytes[i]! >= 0x80) return false;
  return true;
}

/** The same assertion about the attribute type alone. */
export function withoutOptions(node: FilterNode, bytes: Uint8Array): FilterNode {
  return { ...node, attributeEnd: bytes.indexOf(0x3b, node.attributeStart) };
}

const scratch = createScratch();

/** Equality by the attribute's own rule. */
export function compileEquality(snapshot: Snapshot, id: number, bytes: Uint8Array, start: number, end: number): Test {
  const kind = snapshot.kinds[id] as MatchKind;
  if (kind === NO_MATCH || !isAssertable(id, kind, bytes, start, end)) return constant(UNDEFINED);
  if (id === ID.objectClass) return compileClass(bytes, start, end);
  if (id === ID.structuralObjectClass) return compileStructural(bytes, start, end);
  if (id === ID.entryUSN || id === ID.modifyTimestamp) return compileRange(id, bytes, start, end, 0);
  const length = normalize(kind, bytes, start, end, scratch);
  if (length < 0) return constant(UNDEFINED);
  if (EQUALITY_INDEXED.has(id)) {
    const key = findKey(snapshot, id, scratch.bytes, length);
    return key < 0 ? constant(FALSE) : onList(key);
  }
  return someValue(id, equalTo(kind, scratch.bytes.slice(0, length)));
}

const classNamed = (bytes: Uint8Array, start: number, end: number): number =>
  classId(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1'));

/** A class by name or OID; one that the schema does not know is neither true nor false of an entry (RFC 4517 4.2.26). */
function compileClass(bytes: Uint8Array, start: number, end: number): Test {
  const id = classNamed(bytes, start, end);
  return id < 0 ? constant(UNDEFINED) : isA(id);
}

/** The class itself, not its superclasses. */
function compileStructural(bytes: Uint8Array, start: number, end: number): Test {
  const id = classNamed(bytes, start, end);
  if (id < 0) return constant(UNDEFINED);
  return someValue(ID.structuralObjectClass, equalTo(DESCRIPTOR, Buffer.from(classes[id]!.name.toLowerCase())));
}

/** Largest number that the columns of a snapshot hold. */
export const MOST = 0xffffffff;

/** entryUSN and modifyTimestamp, which every entry has as a number. `sign` 0 is equality. */
export function compileRange(id: number, bytes: Uint8Array, start: number, end: number, sign: 1 | 0 | -1): Test {
  let value: number;
  if (id === ID.modifyTimestamp) value = parseTime(bytes, start, end);
  else {
    const form = normalForm(attributes[id]!.kind, bytes, start, end);
    value = form === null ? Number.NaN : Number(Buffer.from(form).toString('latin1'));
  }
  if (Number.isNaN(value)) return constant(UNDEFINED);
  const low = sign < 0 ? 0 : Math.max(0, Math.ceil(value));
  const high = sign > 0 ? MOST : Math.min(MOST, Math.floor(value));
  if (low > high) return constant(FALSE);
  return inRange(id, low, high);
}
