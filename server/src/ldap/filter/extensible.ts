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
import { attributeId, attributes, findAttribute, syntaxOid, UNKNOWN, WITH_OPTIONS } from '../schema/schema.ts';
import { found, readElement, type Snapshot } from '../snapshot/snapshot.ts';
import { nameParts } from './dn-values.ts';
import { compileEquality, withoutOptions } from './equality.ts';
import { before, bits, equalTo, normalForm } from './matchers.ts';
import {
  constant,
  FALSE,
  isUndefined,
  or,
  someEntry,
  someValue,
  type Test,
  UNDEFINED,
  type ValueMatcher,
} from './test.ts';

const rules = new Map<string, MatchingRule>();
for (const rule of MATCHING_RULES) {
  if (/Substrings|FirstComponent/.test(rule.name)) continue;
  rules.set(rule.oid, rule);
  rules.set(rule.name.toLowerCase(), rule);
}

/** Rules for text in general; every other rule is for values of one syntax. */
const isGeneral = ({ name }: MatchingRule): boolean => /^case(?:Ignore|Exact)(?:IA5|Ordering)?Match$/.test(name);

/** Whether a rule can compare values of an attribute: text by any rule for text, everything else by its own only. */
function applies(rule: MatchingRule, id: number): boolean {
  const { kind } = attributes[id]!;
  if (isGeneral(rule)) return kind === FOLD || kind === EXACT;
  return rule.kind !== NO_MATCH && rule.kind === kind && rule.syntax === syntaxOid(id);
}

function matcherOf(rule: MatchingRule, wanted: Uint8Array): ValueMatcher | null {
  if (rule.name === 'integerBitAndMatch') return bits('and', wanted);
  if (rule.name === 'integerBitOrMatch') return bits('or', wanted);
  return rule.name.includes('Ordering') ? before(rule.kind, wanted) : equalTo(rule.kind, wanted);
}

/** Held against the values of one attribute; undefined when the assertion does not have the syntax of the rule. */
function compileValues(snapshot: Snapshot, bytes: Uint8Array, node: FilterNode, rule: MatchingRule, id: number): Test {
  const { valueStart: start, valueEnd: end } = node;
  if (rule.kind === DESCRIPTOR) return compileEquality(snapshot, id, bytes, start, end);
  const wanted = normalForm(rule.kind, bytes, start, end);
  const matcher = wanted === null ? null : matcherOf(rule, wanted);
  return matcher === null ? constant(UNDEFINED) : someValue(id, matcher);
}

/**
 * extensibleMatch (RFC 4511 4.5.1.7.7): `attr:dn:rule:=value` in all its forms. Without a rule it is the equality of the
 * attribute, without an attribute it is about all that the rule applies to.
 */
export function compileExtensible(snapshot: Snapshot, node: FilterNode, bytes: Uint8Array): Test {
  let rule: MatchingRule | null = null;
  if (node.ruleStart >= 0) {
    const name = Buffer.from(bytes.subarray(node.ruleStart, node.ruleEnd)).toString('latin1');
    rule = rules.get(name.toLowerCase()) ?? null;
    if (rule === null) return constant(UNDEFINED);
  }
  let candidates: readonly number[];
  if (node.attributeStart >= 0) {
    const id = findAttribute(bytes, node.attributeStart, node.attributeEnd);
    if (id === UNKNOWN) return constant(UNDEFINED);
    if (id === WITH_OPTIONS) {
      const plain = compileExtensible(snapshot, withoutOptions(node, bytes), bytes);
      return isUndefined(plain) ? plain : constant(FALSE);
    }
    candidates = attributes[id]!.family;
  } else candidates = attributes.map(({ id }) => id);
  const test =
    rule === null
      ? (id: number) => compileEquality(snapshot, id, bytes, node.valueStart, node.valueEnd)
      : (id: number) => compileValues(snapshot, bytes, node, rule, id);
  if (rule !== null) candidates = candidates.filter((id) => applies(rule, id));
  const tests = candidates.map(test);
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
    const wanted = kind === NO_MATCH ? null : normalForm(kind, bytes, node.valueStart, node.valueEnd);
    const matcher = wanted === null ? null : rule === null ? equalTo(kind, wanted) : matcherOf(rule, wanted);
    if (matcher !== null) matchers.set(id, matcher);
  }
  if (matchers.size === 0) return constant(UNDEFINED);
  return someEntry((ordinal) =>
    partsOf(snapshot, ordinal).some(({ id, value }) => matchers.get(id)?.(value, 0, value.length) ?? false),
  );
}

/** The name taken apart last: the leaves of a filter ask for the same one in turn. */
const last: { snapshot: WeakRef<Snapshot> | null; ordinal: number; parts: { id: number; value: Buffer }[] } = {
  snapshot: null,
  ordinal: -1,
  parts: [],
};

function partsOf(snapshot: Snapshot, ordinal: number): { id: number; value: Buffer }[] {
  if (last.ordinal !== ordinal || last.snapshot?.deref() !== snapshot) {
    readElement(snapshot.arena, snapshot.start[ordinal]!);
    const dn = Buffer.from(snapshot.arena.slice(found.start, found.end)).toString('utf8');
    last.parts = nameParts(dn).map(({ type, value }) => ({ id: attributeId(type), value }));
    last.snapshot = new WeakRef(snapshot);
    last.ordinal = ordinal;
  }
  return last.parts;
}
