import { type BerReader, enter, fail, leave, peekTag, readBoolean, readOctets, skip } from '../ber/reader.ts';
import { OCTET_STRING, SEQUENCE } from '../ber/tag.ts';
import { FILTER } from './operation.ts';

/** How large a filter may be: it is decoded before anyone has authenticated. Beyond it the answer is adminLimitExceeded. */
export interface FilterLimits {
  depth: number;
  leaves: number;
  /** Encoded size in octets. */
  size: number;
}

export const FILTER_LIMITS: FilterLimits = { depth: 32, leaves: 1024, size: 64 * 1024 };

/**
 * One node of a filter (RFC 4511 4.5.1). One shape for all kinds; positions point into the message. A position of -1
 * means absent.
 */
export interface FilterNode {
  /** The tag; 0 for a choice that RFC 4511 does not know, which has no truth value. */
  tag: number;
  children: FilterNode[];
  attributeStart: number;
  attributeEnd: number;
  valueStart: number;
  valueEnd: number;
  /** Substrings: kind (0x80 initial, 0x81 any, 0x82 final), start, end of each part. */
  parts: number[];
  /** Extensible match: the matching rule's name. */
  ruleStart: number;
  ruleEnd: number;
  /** Extensible match: attributes of the name count too. */
  dnAttributes: boolean;
}

const NOTHING: never[] = [];

const node = (tag: number): FilterNode => ({
  tag,
  children: NOTHING,
  attributeStart: -1,
  attributeEnd: -1,
  valueStart: -1,
  valueEnd: -1,
  parts: NOTHING,
  ruleStart: -1,
  ruleEnd: -1,
  dnAttributes: false,
});

interface Budget {
  limits: FilterLimits;
  leaves: number;
  exceeded: boolean;
}

/**
 * Reads a filter. Malformed bytes make the reader fail.
 *
 * @returns null when the filter is larger than the limits; the reader then stands behind it, the rest unread.
 */
export function decodeFilter(reader: BerReader, limits: FilterLimits = FILTER_LIMITS): FilterNode | null {
  const start = reader.at;
  const budget: Budget = { limits, leaves: 0, exceeded: false };
  const filter = decodeNode(reader, budget, 1);
  if (reader.at - start > limits.size) budget.exceeded = true;
  return budget.exceeded ? null : filter;
}

function decodeNode(reader: BerReader, budget: Budget, depth: number): FilterNode {
  const tag = peekTag(reader);
  const result = node(tag);
  // A deeper filter is not looked into: reading it would take as much stack as the client likes.
  if (depth > budget.limits.depth || budget.leaves > budget.limits.leaves) {
    budget.exceeded = true;
    skip(reader);
    return result;
  }
  switch (tag) {
    case FILTER.and:
    case FILTER.or:
    case FILTER.not:
      decodeChildren(reader, result, budget, depth);
      return result;
    case FILTER.equality:
    case FILTER.greaterOrEqual:
    case FILTER.lessOrEqual:
    case FILTER.approximate:
      decodeAssertion(reader, result);
      break;
    case FILTER.substrings:
      decodeSubstrings(reader, result, budget);
      break;
    case FILTER.present:
      result.attributeStart = readOctets(reader, FILTER.present);
      result.attributeEnd = result.attributeStart + reader.length;
      break;
    case FILTER.extensible:
      decodeExtensible(reader, result);
      // Without an attribute it is about all there are, and costs as much.
      if (result.attributeStart < 0) budget.leaves += 63;
      break;
    default:
      // Context tags are where later versions may add choices; anything else is no filter.
      if ((tag & 0xc0) !== 0x80) fail(reader);
      else skip(reader);
      result.tag = 0;
  }
  budget.leaves++;
  if (budget.leaves > budget.limits.leaves) budget.exceeded = true;
  return result;
}

function decodeChildren(reader: BerReader, result: FilterNode, budget: Budget, depth: number): void {
  const outer = enter(reader, result.tag);
  if (result.tag === FILTER.not) {
    result.children = [decodeNode(reader, budget, depth + 1)];
  } else {
    const children: FilterNode[] = [];
    while (reader.at < reader.end && !reader.failed) {
      const child = decodeNode(reader, budget, depth + 1);
      if (!budget.exceeded) children.push(child);
    }
    result.children = children;
    // Empty sets are cheap to send in thousands, so they count as well.
    if (children.length === 0) budget.leaves++;
  }
  leave(reader, outer);
}

function decodeAssertion(reader: BerReader, result: FilterNode): void {
  const outer = enter(reader, result.tag);
  result.attributeStart = readOctets(reader, OCTET_STRING);
  result.attributeEnd = result.attributeStart + reader.length;
  result.valueStart = readOctets(reader, OCTET_STRING);
  result.valueEnd = result.valueStart + reader.length;
  leave(reader, outer);
}

function decodeSubstrings(reader: BerReader, result: FilterNode, budget: Budget): void {
  const outer = enter(reader, result.tag);
  result.attributeStart = readOctets(reader, OCTET_STRING);
  result.attributeEnd = result.attributeStart + reader.length;
  const parts: number[] = [];
  const end = enter(reader, SEQUENCE);
  let last = 0;
  while (reader.at < reader.end && !reader.failed) {
    const kind = peekTag(reader);
    // Initial first and once, final last and once.
    if (kind < 0x80 || kind > 0x82 || last === 0x82 || (kind === 0x80 && last !== 0)) {
      fail(reader);
      break;
    }
    last = kind;
    const start = readOctets(reader, kind);
    parts.push(kind, start, start + reader.length);
    budget.leaves++;
    if (budget.leaves > budget.limits.leaves) {
      budget.exceeded = true;
      reader.at = reader.end;
    }
  }
  leave(reader, end);
  leave(reader, outer);
  result.parts = parts;
}

function decodeExtensible(reader: BerReader, result: FilterNode): void {
  const outer = enter(reader, result.tag);
  if (peekTag(reader) === 0x81) {
    result.ruleStart = readOctets(reader, 0x81);
    result.ruleEnd = result.ruleStart + reader.length;
  }
  if (peekTag(reader) === 0x82) {
    result.attributeStart = readOctets(reader, 0x82);
    result.attributeEnd = result.attributeStart + reader.length;
  }
  result.valueStart = readOctets(reader, 0x83);
  result.valueEnd = result.valueStart + reader.length;
  if (peekTag(reader) === 0x84) result.dnAttributes = readBoolean(reader, 0x84);
  leave(reader, outer);
  // Neither a rule nor an attribute: nothing says what to compare.
  if (result.ruleStart < 0 && result.attributeStart < 0) fail(reader);
}

/** Moves over a list of attribute selectors, checking that it is one. @returns where its contents lie. */
export function readSelection(reader: BerReader): { start: number; end: number } {
  const outer = enter(reader, SEQUENCE);
  const span = { start: reader.at, end: reader.end };
  while (reader.at < reader.end && !reader.failed) readOctets(reader, OCTET_STRING);
  leave(reader, outer);
  return span;
}
