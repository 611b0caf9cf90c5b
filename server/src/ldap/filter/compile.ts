import { parseTime } from '../matching/time.ts';
import type { FilterNode } from '../protocol/decode-filter.ts';
import { FILTER } from '../protocol/operation.ts';
import { DESCRIPTOR, FLAG, type MatchKind, NAME, NO_MATCH, OCTETS, TIME } from '../schema/rules.ts';
import { attributes, findAttribute, ID, UNKNOWN, WITH_OPTIONS } from '../schema/schema.ts';
import { PREFIX_INDEXED } from '../snapshot/indexed.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { compileEquality, compileRange, isAssertable, isText, MOST, withoutOptions } from './equality.ts';
import { compileExtensible } from './extensible.ts';
import { containing, normalForm, ordered, orderedTime, type Part, preparePart, soundsLike } from './matchers.ts';
import { and, constant, FALSE, isUndefined, not, or, present, someValue, type Test, TRUE, UNDEFINED } from './test.ts';

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
      if (id === WITH_OPTIONS) return compileWithOptions(snapshot, node, bytes);
      const { family } = attributes[id]!;
      const prepared: Prepared = new Map();
      if (family.length === 1) return compileLeaf(snapshot, node, bytes, id, prepared);
      return or(family.map((member) => compileLeaf(snapshot, node, bytes, member, prepared)));
    }
  }
}

/** A known type with options is an attribute that no entry has; what cannot be asserted of the type is undefined still. */
function compileWithOptions(snapshot: Snapshot, node: FilterNode, bytes: Uint8Array): Test {
  if (node.tag === FILTER.present) return constant(FALSE);
  const plain = compileFilter(snapshot, withoutOptions(node, bytes), bytes);
  return isUndefined(plain) ? plain : constant(FALSE);
}

/** Parts of a substring assertion by the kind of text that they are parts of; null when they are no such text. */
type Prepared = Map<MatchKind, Part[] | null>;

function compileLeaf(snapshot: Snapshot, node: FilterNode, bytes: Uint8Array, id: number, prepared: Prepared): Test {
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
      return compileSubstrings(snapshot, node, bytes, id, prepared);
    default:
      return compileApproximate(snapshot, node, bytes, id);
  }
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

function prepareParts(node: FilterNode, bytes: Uint8Array, kind: MatchKind): Part[] | null {
  const parts: Part[] = [];
  for (let i = 0; i < node.parts.length; i += 3) {
    const start = node.parts[i + 1]!;
    const end = node.parts[i + 2]!;
    const part = start === end ? null : preparePart(kind, PLACES[node.parts[i]! - 0x80]!, bytes, start, end);
    if (part === null) return null;
    parts.push(part);
  }
  return parts.length === 0 ? null : parts;
}

const isAscii = (bytes: Uint8Array): boolean => bytes.every((byte) => byte < 0x80);

function compileSubstrings(
  snapshot: Snapshot,
  node: FilterNode,
  bytes: Uint8Array,
  id: number,
  prepared: Prepared,
): Test {
  const kind = snapshot.kinds[id] as MatchKind;
  if (!isText(kind)) return constant(UNDEFINED);
  let parts = prepared.get(kind);
  if (parts === undefined) {
    parts = prepareParts(node, bytes, kind);
    prepared.set(kind, parts);
  }
  if (parts === null || (attributes[id]!.ascii && !parts.every((part) => isAscii(part.bytes))))
    return constant(UNDEFINED);
  const leaf = someValue(id, containing(kind, parts));
  leaf.cost = 8 + parts.length;
  const [first] = parts as [Part];
  if (first.place === 'initial' && first.key.length > 0 && PREFIX_INDEXED.includes(id)) {
    leaf.prefix = first.key;
    // With space behind it, it is a whole word.
    leaf.prefixOnly = parts.length === 1 && first.bytes.at(-1) !== 0x20;
  }
  return leaf;
}

function compileApproximate(snapshot: Snapshot, node: FilterNode, bytes: Uint8Array, id: number): Test {
  const kind = snapshot.kinds[id] as MatchKind;
  if (!isText(kind)) return compileEquality(snapshot, id, bytes, node.valueStart, node.valueEnd);
  const matcher = soundsLike(bytes, node.valueStart, node.valueEnd);
  return matcher === null ? constant(UNDEFINED) : someValue(id, matcher);
}
