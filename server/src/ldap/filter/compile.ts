import { normalize } from '../matching/normalize.ts';
import { createScratch } from '../matching/scratch.ts';
import { parseTime } from '../matching/time.ts';
import type { FilterNode } from '../protocol/decode-filter.ts';
import { FILTER } from '../protocol/operation.ts';
import { DESCRIPTOR, EXACT, FLAG, FOLD, type MatchKind, NAME, NO_MATCH, OCTETS, TIME } from '../schema/rules.ts';
import { attributes, classId, findAttribute, ID, UNKNOWN, WITH_OPTIONS } from '../schema/schema.ts';
import { EQUALITY_INDEXED, PREFIX_INDEXED } from '../snapshot/indexed.ts';
import { findKey } from '../snapshot/lookup.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { compileExtensible } from './extensible.ts';
import {
  containing,
  equalTo,
  normalForm,
  ordered,
  orderedTime,
  type Part,
  preparePart,
  soundsLike,
} from './matchers.ts';
import {
  and,
  constant,
  FALSE,
  inRange,
  isA,
  not,
  onList,
  or,
  present,
  someValue,
  type Test,
  TRUE,
  UNDEFINED,
} from './test.ts';

/**
 * Binds a decoded filter to a snapshot. What the schema or the index already decides becomes a constant: an equality that
 * no entry satisfies costs nothing per entry.
 *
 * @param bytes the message that the filter points into; not needed afterwards.
 */
export function compileFilter(snapshot: Snapshot, node: FilterNode, bytes: Uint8Array): Test {
  switch (node.tag) {
    case FILTER.and:
      return and(node.children.map((child) => compileFilter(snapshot, child, bytes)));
    case FILTER.or:
      return or(node.children.map((child) => compileFilter(snapshot, child, bytes)));
    case FILTER.not:
      return not(compileFilter(snapshot, node.children[0]!, bytes));
    case FILTER.extensible:
      return compileExtensible(snapshot, node, bytes);
    case 0:
      return constant(UNDEFINED);
    default: {
      const id = findAttribute(bytes, node.attributeStart, node.attributeEnd);
      if (id === UNKNOWN) return constant(UNDEFINED);
      // A known type with options is an attribute that no entry has.
      if (id === WITH_OPTIONS) return constant(FALSE);
      const { family } = attributes[id]!;
      if (family.length === 1) return compileLeaf(snapshot, node, bytes, id);
      return or(family.map((member) => compileLeaf(snapshot, node, bytes, member)));
    }
  }
}

function compileLeaf(snapshot: Snapshot, node: FilterNode, bytes: Uint8Array, id: number): Test {
  switch (node.tag) {
    case FILTER.present:
      return id === ID.objectClass || attributes[id]!.computed ? constant(TRUE) : present(id);
    case FILTER.equality:
      return compileEquality(snapshot, id, bytes, node.valueStart, node.valueEnd);
    case FILTER.greaterOrEqual:
      return compileOrder(snapshot, node, bytes, id, 1);
    case FILTER.lessOrEqual:
      return compileOrder(snapshot, node, bytes, id, -1);
    case FILTER.substrings:
      return compileSubstrings(snapshot, node, bytes, id);
    default:
      return compileApproximate(snapshot, node, bytes, id);
  }
}

const isText = (kind: MatchKind): boolean => kind === FOLD || kind === EXACT;

/** Whether bytes can be an assertion about the attribute at all. */
function isAssertable(id: number, kind: MatchKind, bytes: Uint8Array, start: number, end: number): boolean {
  if (isText(kind) && start === end) return false;
  if (attributes[id]!.ascii) for (let i = start; i < end; i++) if (bytes[i]! >= 0x80) return false;
  return true;
}

const scratch = createScratch();

/** Equality by the attribute's own rule. */
export function compileEquality(snapshot: Snapshot, id: number, bytes: Uint8Array, start: number, end: number): Test {
  const kind = snapshot.kinds[id] as MatchKind;
  if (kind === NO_MATCH || !isAssertable(id, kind, bytes, start, end)) return constant(UNDEFINED);
  if (id === ID.objectClass) return compileClass(bytes, start, end);
  if (id === ID.entryUSN || id === ID.modifyTimestamp) return compileRange(id, bytes, start, end, 0);
  const length = normalize(kind, bytes, start, end, scratch);
  if (length < 0) return constant(UNDEFINED);
  if (EQUALITY_INDEXED.has(id)) {
    const key = findKey(snapshot, id, scratch.bytes, length);
    return key < 0 ? constant(FALSE) : onList(key);
  }
  return someValue(id, equalTo(kind, scratch.bytes.slice(0, length)));
}

/** A class by name or OID; one that the schema does not know is neither true nor false of an entry (RFC 4517 4.2.26). */
export function compileClass(bytes: Uint8Array, start: number, end: number): Test {
  const name = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
    .toString('latin1')
    .trim();
  const id = classId(name);
  return id < 0 ? constant(UNDEFINED) : isA(id);
}

/** Largest number that the columns of a snapshot hold. */
const MOST = 0xffffffff;

/** entryUSN and modifyTimestamp, which every entry has as a number. `sign` 0 is equality. */
function compileRange(id: number, bytes: Uint8Array, start: number, end: number, sign: 1 | 0 | -1): Test {
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

function compileOrder(snapshot: Snapshot, node: FilterNode, bytes: Uint8Array, id: number, sign: 1 | -1): Test {
  const kind = snapshot.kinds[id] as MatchKind;
  const { valueStart: start, valueEnd: end } = node;
  if (kind === NO_MATCH || kind === NAME || kind === DESCRIPTOR || kind === FLAG || kind === OCTETS) {
    return constant(UNDEFINED);
  }
  if (!isAssertable(id, kind, bytes, start, end)) return constant(UNDEFINED);
  if (id === ID.entryUSN || id === ID.modifyTimestamp) return compileRange(id, bytes, start, end, sign);
  if (kind === TIME) {
    const wanted = parseTime(bytes, start, end);
    return Number.isNaN(wanted) ? constant(UNDEFINED) : someValue(id, orderedTime(wanted, sign));
  }
  const wanted = normalForm(kind, bytes, start, end);
  if (wanted === null) return constant(UNDEFINED);
  const leaf = someValue(id, ordered(kind, wanted, sign));
  if (id === ID.uidNumber || id === ID.gidNumber) {
    const bound = Number(Buffer.from(wanted).toString('latin1'));
    leaf.low = sign > 0 ? Math.max(0, bound) : 0;
    leaf.high = sign > 0 ? MOST : Math.min(MOST, bound);
  }
  return leaf;
}

const PLACES = ['initial', 'any', 'final'] as const;

function compileSubstrings(snapshot: Snapshot, node: FilterNode, bytes: Uint8Array, id: number): Test {
  const kind = snapshot.kinds[id] as MatchKind;
  if (!isText(kind) || node.parts.length === 0) return constant(UNDEFINED);
  const parts: Part[] = [];
  for (let i = 0; i < node.parts.length; i += 3) {
    const start = node.parts[i + 1]!;
    const end = node.parts[i + 2]!;
    if (!isAssertable(id, kind, bytes, start, end)) return constant(UNDEFINED);
    const part = preparePart(kind, PLACES[node.parts[i]! - 0x80]!, bytes, start, end);
    if (part === null) return constant(UNDEFINED);
    parts.push(part);
  }
  const leaf = someValue(id, containing(kind, parts));
  leaf.cost = 8 + parts.length;
  if (parts[0]!.place === 'initial' && PREFIX_INDEXED.includes(id)) {
    leaf.prefix = parts[0]!.bytes;
    leaf.prefixOnly = parts.length === 1;
  }
  return leaf;
}

function compileApproximate(snapshot: Snapshot, node: FilterNode, bytes: Uint8Array, id: number): Test {
  const kind = snapshot.kinds[id] as MatchKind;
  if (!isText(kind)) return compileEquality(snapshot, id, bytes, node.valueStart, node.valueEnd);
  const matcher = soundsLike(bytes, node.valueStart, node.valueEnd);
  return matcher === null ? constant(UNDEFINED) : someValue(id, matcher);
}
