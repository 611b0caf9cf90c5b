import type { FilterNode } from '../protocol/decode-filter.ts';
import {
  DESCRIPTOR,
  EXACT,
  FOLD,
  MATCHING_RULES,
  type MatchingRule,
  type MatchKind,
  NO_MATCH,
} from '../schema/rules.ts';
import { attributeId, attributes, classId, findAttribute, ID, UNKNOWN, WITH_OPTIONS } from '../schema/schema.ts';
import { found, readElement, type Snapshot } from '../snapshot/snapshot.ts';
import { nameParts } from './dn-values.ts';
import { bits, equalTo, normalForm } from './matchers.ts';
import { constant, isA, or, someEntry, someValue, type Test, UNDEFINED, type ValueMatcher } from './test.ts';

const rules = new Map<string, MatchingRule>();
for (const rule of MATCHING_RULES) {
  if (/Ordering|Substrings|FirstComponent/.test(rule.name)) continue;
  rules.set(rule.oid, rule);
  rules.set(rule.name.toLowerCase(), rule);
}

/** Whether a rule can compare values of this kind: text by any text rule, everything else by its own only. */
function applies(rule: MatchKind, kind: MatchKind): boolean {
  if (rule === FOLD || rule === EXACT) return kind === FOLD || kind === EXACT;
  return rule !== NO_MATCH && rule === kind;
}

function matcherOf(rule: MatchingRule | null, kind: MatchKind, wanted: Uint8Array): ValueMatcher | null {
  if (rule?.name === 'integerBitAndMatch') return bits('and', wanted);
  if (rule?.name === 'integerBitOrMatch') return bits('or', wanted);
  return equalTo(rule?.kind ?? kind, wanted);
}

/** extensibleMatch (RFC 4511 4.5.1.7.7): `attr:dn:rule:=value` in all its forms. */
export function compileExtensible(snapshot: Snapshot, node: FilterNode, bytes: Uint8Array): Test {
  let rule: MatchingRule | null = null;
  if (node.ruleStart >= 0) {
    const name = Buffer.from(bytes.subarray(node.ruleStart, node.ruleEnd)).toString('latin1');
    rule = rules.get(name.toLowerCase()) ?? null;
    if (rule === null) return constant(UNDEFINED);
  }
  const kindOf = (id: number): MatchKind => snapshot.kinds[id] as MatchKind;
  let candidates: readonly number[];
  if (node.attributeStart >= 0) {
    const id = findAttribute(bytes, node.attributeStart, node.attributeEnd);
    if (id === UNKNOWN || id === WITH_OPTIONS) return constant(UNDEFINED);
    candidates = attributes[id]!.family;
  } else candidates = attributes.map(({ id }) => id);
  candidates = candidates.filter((id) => applies(rule?.kind ?? kindOf(id), kindOf(id)));
  const tests = candidates.map((id) => {
    const kind = rule?.kind ?? kindOf(id);
    if (id === ID.objectClass && kind === DESCRIPTOR) {
      const known = classId(Buffer.from(bytes.subarray(node.valueStart, node.valueEnd)).toString('latin1').trim());
      return known < 0 ? constant(UNDEFINED) : isA(known);
    }
    const wanted = normalForm(kind, bytes, node.valueStart, node.valueEnd);
    const matcher = wanted === null ? null : matcherOf(rule, kind, wanted);
    return matcher === null ? constant(UNDEFINED) : someValue(id, matcher);
  });
  if (tests.length === 0) return constant(UNDEFINED);
  if (node.dnAttributes) tests.push(inName(snapshot, node, bytes, rule, candidates));
  return or(tests);
}

/** The assertion held against the attributes of the entry's name. */
function inName(
  snapshot: Snapshot,
  node: FilterNode,
  bytes: Uint8Array,
  rule: MatchingRule | null,
  candidates: readonly number[],
): Test {
  const matchers = new Map<number, ValueMatcher>();
  for (const id of candidates) {
    const kind = rule?.kind ?? (snapshot.kinds[id] as MatchKind);
    const wanted = normalForm(kind, bytes, node.valueStart, node.valueEnd);
    const matcher = wanted === null ? null : matcherOf(rule, kind, wanted);
    if (matcher !== null) matchers.set(id, matcher);
  }
  if (matchers.size === 0) return constant(UNDEFINED);
  return someEntry((ordinal) => {
    readElement(snapshot.arena, snapshot.start[ordinal]!);
    const dn = Buffer.from(snapshot.arena.slice(found.start, found.end)).toString('utf8');
    return nameParts(dn).some(({ type, value }) => matchers.get(attributeId(type))?.(value, 0, value.length) ?? false);
  });
}
