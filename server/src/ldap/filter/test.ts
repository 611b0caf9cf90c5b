/** Truth of a filter for one entry (RFC 4511 4.5.1.7): and is the minimum, or the maximum, not the mirror image. */
export const FALSE = 0;
export const UNDEFINED = 1;
export const TRUE = 2;

export type Truth = 0 | 1 | 2;

/** What a compiled filter does at one of its nodes. */
export const KIND = {
  constant: 0,
  and: 1,
  or: 2,
  not: 3,
  /** The entry has the attribute. */
  present: 4,
  isA: 5,
  /** The entry is on a posting list. */
  key: 6,
  /** A number of the entry lies between two others. */
  range: 7,
  /** Some value of the attribute passes a function. */
  values: 8,
  /** Something of the whole entry passes a function. */
  entry: 9,
} as const;

/** Whether a value, `bytes[start … end)` as it is stored, satisfies an assertion. */
export type ValueMatcher = (bytes: Uint8Array, start: number, end: number) => boolean;

/** A filter bound to one snapshot: names are numbers and whatever the index knows has been looked up. */
export interface Test {
  kind: (typeof KIND)[keyof typeof KIND];
  /** The value of a constant. */
  truth: Truth;
  children: readonly Test[];
  /** Attribute, class or key number. */
  subject: number;
  /** Bounds of a range, both inside. */
  low: number;
  high: number;
  matcher: ValueMatcher | null;
  entryMatcher: ((ordinal: number) => boolean) | null;
  /** Every match begins like this; the length is that of the array. For the ordered keys. */
  prefix: Uint8Array | null;
  /** Nothing but the prefix has to be checked. */
  prefixOnly: boolean;
  /** Depends on the entry's shape only. */
  byShape: boolean;
  /** Roughly how much work one entry is, in comparisons. */
  cost: number;
}

const test = (kind: Test['kind'], cost: number, byShape: boolean): Test => ({
  kind,
  truth: FALSE,
  children: [],
  subject: -1,
  low: 0,
  high: 0,
  matcher: null,
  entryMatcher: null,
  prefix: null,
  prefixOnly: false,
  byShape,
  cost,
});

export const constant = (truth: Truth): Test => CONSTANTS[truth]!;

const CONSTANTS = [FALSE, UNDEFINED, TRUE].map((truth) =>
  Object.freeze({ ...test(KIND.constant, 0, true), truth: truth as Truth }),
);

const isConstant = (node: Test, truth: Truth): boolean => node.kind === KIND.constant && node.truth === truth;

/** Whether nothing about any entry can make it true or false. */
export const isUndefined = (node: Test): boolean => isConstant(node, UNDEFINED);

function combine(kind: 1 | 2, children: readonly Test[], decides: Truth, neutral: Truth): Test {
  const kept: Test[] = [];
  let undefinedSeen = false;
  for (const child of children) {
    if (isConstant(child, decides)) return child;
    if (isConstant(child, neutral)) continue;
    if (isConstant(child, UNDEFINED)) {
      undefinedSeen = true;
      continue;
    }
    kept.push(child);
  }
  if (undefinedSeen) kept.push(constant(UNDEFINED));
  if (kept.length === 0) return constant(neutral);
  if (kept.length === 1) return kept[0]!;
  let cost = 1;
  let byShape = true;
  for (const child of kept) {
    cost += child.cost;
    byShape &&= child.byShape;
  }
  // Whatever is cheap may settle the matter before the costly parts are looked at.
  if (kept.some((child, i) => i > 0 && child.cost < kept[i - 1]!.cost)) kept.sort((a, b) => a.cost - b.cost);
  const node = test(kind, cost, byShape);
  node.children = kept;
  return node;
}

export const and = (children: readonly Test[]): Test => combine(KIND.and, children, FALSE, TRUE);
export const or = (children: readonly Test[]): Test => combine(KIND.or, children, TRUE, FALSE);

export function not(child: Test): Test {
  if (child.kind === KIND.constant) return constant((TRUE - child.truth) as Truth);
  const node = test(KIND.not, child.cost, child.byShape);
  node.children = [child];
  return node;
}

export function present(attribute: number): Test {
  const node = test(KIND.present, 1, true);
  node.subject = attribute;
  return node;
}

export function isA(classId: number): Test {
  const node = test(KIND.isA, 1, true);
  node.subject = classId;
  return node;
}

export function onList(key: number): Test {
  const node = test(KIND.key, 4, false);
  node.subject = key;
  return node;
}

export function inRange(attribute: number, low: number, high: number): Test {
  const node = test(KIND.range, 2, false);
  node.subject = attribute;
  node.low = low;
  node.high = high;
  return node;
}

export function someValue(attribute: number, matcher: ValueMatcher): Test {
  const node = test(KIND.values, 8, false);
  node.subject = attribute;
  node.matcher = matcher;
  return node;
}

export function someEntry(matcher: (ordinal: number) => boolean): Test {
  const node = test(KIND.entry, 64, false);
  node.entryMatcher = matcher;
  return node;
}
