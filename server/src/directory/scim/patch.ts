import { z } from 'zod';
import {
  ATTRIBUTES,
  type Attribute,
  canonicalValue,
  type Doc,
  findAttribute,
  isDoc,
  isEnvelope,
} from './attributes.ts';
import { type Filter, matchesFilter } from './filter.ts';
import { readPath, type Target } from './path.ts';
import type { Kind } from './resource.ts';

/** Keys of what SCIM itself defines, whatever their case. */
const folded = <T extends z.ZodType>(schema: T, names: readonly string[]) =>
  z.preprocess((value) => {
    if (!isDoc(value)) return value;
    const spelt = (key: string) => names.find((name) => name.toLowerCase() === key.toLowerCase()) ?? key;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [spelt(key), member]));
  }, schema);

const operation = z.object({
  op: z
    .string()
    .transform((op) => op.toLowerCase())
    .pipe(z.enum(['add', 'replace', 'remove'])),
  path: z.string().max(1024).nullish(),
  value: z.unknown().optional(),
});

/** The body of PATCH (RFC 7644 3.5.2). Entra writes the operations with capitals, others the keys without. */
export const patchBody = folded(
  z.object({
    Operations: z
      .array(folded(operation, ['op', 'path', 'value']))
      .min(1)
      .max(1000),
  }),
  ['Operations'],
);
export type PatchOperation = z.infer<typeof operation>;

type Problem = 'invalidPath' | 'noTarget' | 'invalidValue' | 'invalidFilter';
export type PatchResult = { ok: true; document: Doc } | { ok: false; scimType: Problem };

/**
 * Applies operations to a document of ours, in order, all or nothing. The result still has to be checked by the schema.
 */
export function applyPatch(kind: Kind, document: Doc, operations: readonly PatchOperation[]): PatchResult {
  const result = structuredClone(document);
  for (const one of operations) {
    const problem = applyOne(kind, result, one);
    if (problem) return { ok: false, scimType: problem };
  }
  return { ok: true, document: result };
}

function applyOne(kind: Kind, document: Doc, { op, path, value }: PatchOperation): Problem | null {
  if (path) return applyAtPath(kind, document, path, op, value);
  if (op === 'remove') return 'noTarget';
  if (!isDoc(value)) return 'invalidValue';
  for (const [key, part] of Object.entries(value)) {
    // A group that was written whole, by a serialiser that writes what it does not have: its members were not mentioned.
    if (part === null && key.toLowerCase().endsWith('members')) continue;
    const problem = applyAtPath(kind, document, key, op, part);
    // What is no path is no attribute either: it is left out, as in a PUT.
    if (problem && !(problem === 'invalidPath' && !isOurs(kind, key))) return problem;
  }
  return null;
}

const isOurs = (kind: Kind, path: string): boolean =>
  ATTRIBUTES[kind].some(({ name }) => path.toLowerCase().startsWith(name.toLowerCase()));

function applyAtPath(kind: Kind, document: Doc, path: string, op: PatchOperation['op'], value: unknown) {
  const target = readPath(kind, path);
  if (target === 'left_out') return null;
  return typeof target === 'string' ? target : applyAt(document, target, op, value);
}

function applyAt(document: Doc, target: Target, op: PatchOperation['op'], raw: unknown): Problem | null {
  let parent = document;
  for (const step of target.steps.slice(0, -1)) {
    if (!isDoc(parent[step])) {
      if (op === 'remove' || raw === undefined || raw === null) return null;
      parent[step] = {};
    }
    parent = parent[step] as Doc;
  }
  const { attribute, filter } = target;
  if (filter) return applyToMatches(parent, { ...target, filter }, op, raw);
  return attribute.multiValued ? applyToList(parent, attribute, op, raw) : applyToSingle(parent, target, op, raw);
}

function applyToSingle(parent: Doc, target: Target, op: PatchOperation['op'], raw: unknown): Problem | null {
  const { attribute } = target;
  const { name } = attribute;
  const nothing = raw === undefined || raw === null;
  if (op === 'add' && nothing) return null;
  if (op === 'remove' || nothing) {
    // A person whom nobody calls active is not: removing a value must not let anybody in.
    if (name === 'active') parent[name] = false;
    else delete parent[name];
    return null;
  }
  if (attribute.type !== 'complex') {
    parent[name] = raw;
    return null;
  }
  // Parts that are not mentioned stay as they are (RFC 7644 3.5.2.3): the hosts of a sudo rule, for example.
  if (!isDoc(raw)) return 'invalidValue';
  const whole = isDoc(parent[name]) ? (parent[name] as Doc) : {};
  parent[name] = whole;
  for (const [key, value] of Object.entries(raw)) {
    const part = findAttribute(attribute.subAttributes, key);
    if (!part) {
      if (target.steps[0]?.startsWith('urn:') && !isEnvelope(key)) return 'invalidPath';
      continue;
    }
    const at: Target = { steps: [...target.steps, part.name], attribute: part, filter: null, sub: null };
    const problem = part.multiValued ? applyToList(whole, part, op, value) : applyToSingle(whole, at, op, value);
    if (problem) return problem;
  }
  return null;
}

function applyToList(parent: Doc, attribute: Attribute, op: PatchOperation['op'], raw: unknown): Problem | null {
  const { name } = attribute;
  const before = Array.isArray(parent[name]) ? (parent[name] as unknown[]) : [];
  if (raw === undefined || raw === null) {
    if (op === 'add') return null;
    // Without a value, a remove means all of them (RFC 7644 3.5.2.2). A replace says nothing, and null may be what a
    // serialiser makes of a list that it does not have: that empties no group, and takes the hosts from no sudo rule.
    if (op === 'replace' && (raw === undefined || name !== 'emails')) return 'invalidValue';
    delete parent[name];
    return null;
  }
  const items = canonicalValue(attribute, Array.isArray(raw) ? raw : [raw]) as unknown[];
  if (op === 'remove') {
    // Which ones is in the value, as Entra and others write it: never all of them because it cannot be read.
    if (items.some((item) => keyOf(item) === null)) return 'invalidValue';
    const gone = new Set(items.map(keyOf));
    parent[name] = before.filter((item) => !gone.has(keyOf(item)));
    return null;
  }
  const kept = op === 'add' ? before : [];
  parent[name] = [...new Map([...kept, ...items].map((item) => [keyOf(item) ?? item, item])).values()];
  onlyOnePrimary(parent[name] as unknown[], items);
  return null;
}

/** What tells the values of a list apart; null for what is none. */
function keyOf(item: unknown): string | null {
  const value = isDoc(item) ? item.value : item;
  return typeof value === 'string' && value !== '' ? value : null;
}

/** One of several values is the primary one: the one that was said last (RFC 7644 3.5.2). */
function onlyOnePrimary(all: readonly unknown[], said: readonly unknown[]): void {
  const isPrimary = (item: unknown) => isDoc(item) && String(item.primary).toLowerCase() === 'true';
  const now = said.findLast(isPrimary);
  if (now === undefined) return;
  for (const item of all) if (item !== now && isDoc(item) && isPrimary(item)) item.primary = false;
}

function applyToMatches(
  parent: Doc,
  { attribute, filter, sub }: Target & { filter: Filter },
  op: PatchOperation['op'],
  raw: unknown,
): Problem | null {
  const { name } = attribute;
  const items = Array.isArray(parent[name]) ? (parent[name] as unknown[]) : [];
  // What is no group is a person, although only groups are marked.
  const seen = (item: unknown) => (name === 'members' && isDoc(item) ? { type: 'User', ...item } : item);
  const hit = (item: unknown) => matchesFilter(filter, seen(item));
  const nothing = raw === undefined || raw === null || raw === '';
  if (op === 'add' && nothing) return null;
  if (op === 'remove' || nothing) {
    // A value without its value is none.
    if (sub === null || sub.name === 'value') {
      if (items.length > 0) parent[name] = items.filter((item) => !hit(item));
    } else for (const item of items) if (hit(item) && isDoc(item)) delete item[sub.name];
    return null;
  }
  const said = sub === null ? canonicalValue({ ...attribute, multiValued: false }, raw) : { [sub.name]: raw };
  if (!isDoc(said)) return 'invalidValue';
  if (!items.some(hit)) {
    // `emails[type eq "work"].value` for a person without a work address makes one.
    const described = name === 'members' ? null : describedBy(filter, attribute);
    if (!described) return 'noTarget';
    const made = { ...described, ...said };
    parent[name] = [...items, made];
    onlyOnePrimary(parent[name] as unknown[], [made]);
    return null;
  }
  const whole = op === 'replace' && sub === null;
  const next = items.map((item) => (hit(item) && isDoc(item) ? { ...(whole ? {} : item), ...said } : item));
  parent[name] = next;
  onlyOnePrimary(
    next,
    next.filter((_, n) => hit(items[n])),
  );
  return null;
}

/** The value that a filter of equalities describes; null for every other filter. */
function describedBy(filter: Filter, attribute: Attribute): Doc | null {
  if (filter.op === 'and') {
    const [left, right] = [describedBy(filter.left, attribute), describedBy(filter.right, attribute)];
    return left && right && { ...left, ...right };
  }
  const part = filter.op === 'eq' ? findAttribute(attribute.subAttributes, filter.path) : undefined;
  return part && filter.op === 'eq' ? { [part.name]: filter.value } : null;
}
