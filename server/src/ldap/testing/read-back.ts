import type { FilterNode } from '../protocol/decode-filter.ts';
import { FILTER } from '../protocol/operation.ts';
import type { SearchRequest } from '../protocol/request.ts';
import type { TestFilter } from './filters.ts';

/** What a decoded search says, as plain data. */
export interface PlainSearch {
  base: string;
  scope: number;
  sizeLimit: number;
  timeLimit: number;
  typesOnly: boolean;
  filter: TestFilter;
  attributes: string[];
}

function readFilter(node: FilterNode, bytes: Uint8Array): TestFilter {
  const text = (start: number, end: number): string =>
    start < 0 ? '' : Buffer.from(bytes.subarray(start, end)).toString('utf8');
  const attribute = text(node.attributeStart, node.attributeEnd);
  const value = text(node.valueStart, node.valueEnd);
  const children = node.children.map((child) => readFilter(child, bytes));
  const parts = (kind: number): string[] => {
    const found: string[] = [];
    for (let i = 0; i < node.parts.length; i += 3) {
      if (node.parts[i] === kind) found.push(text(node.parts[i + 1]!, node.parts[i + 2]!));
    }
    return found;
  };
  switch (node.tag) {
    case FILTER.and:
      return { kind: 'and', children };
    case FILTER.or:
      return { kind: 'or', children };
    case FILTER.not:
      return { kind: 'not', child: children[0]! };
    case FILTER.present:
      return { kind: 'present', attribute };
    case FILTER.equality:
      return { kind: 'equal', attribute, value };
    case FILTER.greaterOrEqual:
      return { kind: 'atLeast', attribute, value };
    case FILTER.lessOrEqual:
      return { kind: 'atMost', attribute, value };
    case FILTER.approximate:
      return { kind: 'similar', attribute, value };
    case FILTER.substrings:
      return {
        kind: 'substring',
        attribute,
        initial: parts(0x80)[0] ?? '',
        any: parts(0x81),
        final: parts(0x82)[0] ?? '',
      };
    default: {
      const rule = text(node.ruleStart, node.ruleEnd);
      return { kind: 'extensible', attribute, rule, dn: node.dnAttributes, value };
    }
  }
}

/** Reads a request back. @throws when its filter was larger than the limits. */
export function readBack(request: SearchRequest): PlainSearch {
  const { bytes, base, filter, attributes } = request;
  const text = (start: number, end: number): string => Buffer.from(bytes.subarray(start, end)).toString('utf8');
  if (filter === null) throw new Error('the filter was not read');
  const names: string[] = [];
  for (let at = attributes.start; at < attributes.end; ) {
    const length = bytes[at + 1]!;
    names.push(text(at + 2, at + 2 + length));
    at += 2 + length;
  }
  const { scope, sizeLimit, timeLimit, typesOnly } = request;
  return {
    base: text(base.start, base.end),
    scope,
    sizeLimit,
    timeLimit,
    typesOnly,
    filter: readFilter(filter, bytes),
    attributes: names,
  };
}
