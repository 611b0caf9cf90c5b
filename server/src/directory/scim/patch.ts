import { z } from 'zod';
import { type Filter, matchesFilter, parseFilter } from './filter.ts';
import { canonicalDocument, canonicalName, SCHEMA } from './resource.ts';

/** The body of PATCH (RFC 7644 3.5.2). Entra writes the operations with capitals. */
export const patchBody = z.object({
  Operations: z
    .array(
      z.object({
        op: z
          .string()
          .transform((op) => op.toLowerCase())
          .pipe(z.enum(['add', 'replace', 'remove'])),
        path: z.string().max(1024).optional(),
        value: z.unknown().optional(),
      }),
    )
    .min(1)
    .max(1000),
});
export type PatchOperation = z.infer<typeof patchBody>['Operations'][number];

export type PatchResult =
  | { ok: true; document: Record<string, unknown> }
  | { ok: false; scimType: 'invalidPath' | 'noTarget' | 'invalidValue' };

interface Path {
  steps: string[];
  filter: Filter | null;
  sub: string | null;
}

const LISTS = [
  'members',
  'emails',
  'sshPublicKeys',
  'accessHosts',
  'commands',
  'hosts',
  'runAsUser',
  'runAsGroup',
  'options',
];
type Doc = Record<string, unknown>;
const isDoc = (value: unknown): value is Doc => typeof value === 'object' && value !== null && !Array.isArray(value);

function parsePath(text: string): Path | null {
  const match = /^([^[\]]+)(?:\[(.+)\](?:\.([A-Za-z]+))?)?$/s.exec(text.trim());
  if (!match?.[1]) return null;
  let rest = match[1];
  const steps: string[] = [];
  for (const urn of [SCHEMA.posixUser, SCHEMA.posixGroup]) {
    if (rest.toLowerCase() === urn.toLowerCase()) return match[2] ? null : { steps: [urn], filter: null, sub: null };
    if (rest.toLowerCase().startsWith(`${urn.toLowerCase()}:`)) {
      steps.push(urn);
      rest = rest.slice(urn.length + 1);
    }
  }
  for (const urn of [SCHEMA.user, SCHEMA.group]) {
    if (rest.toLowerCase().startsWith(`${urn.toLowerCase()}:`)) rest = rest.slice(urn.length + 1);
  }
  for (const part of rest.split('.')) {
    const name = canonicalName(part);
    if (name === undefined) return null;
    steps.push(name);
  }
  const filter = match[2] === undefined ? null : parseFilter(match[2]);
  const sub = match[3] === undefined ? null : (canonicalName(match[3]) ?? null);
  if ((match[2] !== undefined && !filter) || (match[3] !== undefined && sub === null)) return null;
  return { steps, filter, sub };
}

/**
 * Applies operations to a document of ours, in order, all or nothing. The result still has to be checked by the schema.
 */
export function applyPatch(document: Doc, operations: readonly PatchOperation[]): PatchResult {
  const result = structuredClone(document);
  for (const operation of operations) {
    const problem = applyOne(result, operation);
    if (problem) return { ok: false, scimType: problem };
  }
  return { ok: true, document: result };
}

type Problem = Exclude<PatchResult, { ok: true }>['scimType'] | null;

function applyOne(document: Doc, operation: PatchOperation): Problem {
  const { op, path } = operation;
  if (path === undefined || path === '') {
    if (op === 'remove') return 'noTarget';
    if (!isDoc(operation.value)) return 'invalidValue';
    for (const [key, value] of Object.entries(operation.value)) {
      // What no schema of ours knows is ignored, as in a PUT; `schemas`, `id` and `meta` are among it.
      const known = parsePath(key);
      if (!known) continue;
      const problem = applyAt(document, known, op, value);
      if (problem) return problem;
    }
    return null;
  }
  const parsed = parsePath(path);
  // An attribute that is not kept here: nothing to do, and nothing to complain about.
  if (!parsed) return /^[A-Za-z][A-Za-z0-9:._-]*$/.test(path) ? null : 'invalidPath';
  return applyAt(document, parsed, op, operation.value);
}

function applyAt(document: Doc, path: Path, op: PatchOperation['op'], raw: unknown): Problem {
  const value = canonicalDocument(raw);
  let parent = document;
  for (const step of path.steps.slice(0, -1)) {
    if (!isDoc(parent[step])) {
      if (op === 'remove') return null;
      parent[step] = {};
    }
    parent = parent[step] as Doc;
  }
  const name = path.steps.at(-1)!;
  if (path.filter) return applyToMatches(parent, name, path, op, value);
  const isList = LISTS.includes(name);
  if (op === 'remove') {
    // Older Entra names the members to remove in the value.
    if (isList && Array.isArray(value) && Array.isArray(parent[name])) {
      const gone = new Set(value.map(keyOf));
      parent[name] = (parent[name] as unknown[]).filter((item) => !gone.has(keyOf(item)));
    } else delete parent[name];
    return null;
  }
  if (value === undefined || value === null) {
    delete parent[name];
    return null;
  }
  if (isList) {
    const added = Array.isArray(value) ? value : [value];
    const before = op === 'add' && Array.isArray(parent[name]) ? (parent[name] as unknown[]) : [];
    parent[name] = [...new Map([...before, ...added].map((item) => [keyOf(item), item])).values()];
  } else if (isDoc(value) && isDoc(parent[name])) parent[name] = { ...(parent[name] as Doc), ...value };
  else parent[name] = value;
  return null;
}

const keyOf = (item: unknown): string => (isDoc(item) && 'value' in item ? String(item.value) : JSON.stringify(item));

function applyToMatches(parent: Doc, name: string, path: Path, op: PatchOperation['op'], value: unknown): Problem {
  const items = Array.isArray(parent[name]) ? (parent[name] as unknown[]) : [];
  const hit = (item: unknown) => matchesFilter(path.filter!, item);
  if (op === 'remove') {
    if (path.sub === null) parent[name] = items.filter((item) => !hit(item));
    else for (const item of items) if (hit(item) && isDoc(item)) delete item[path.sub];
    return null;
  }
  const matching = items.filter(hit).filter(isDoc);
  if (matching.length === 0) {
    // `emails[type eq "work"].value` for a person without a work address makes one.
    const { filter } = path;
    if (filter?.op !== 'eq' || path.sub === null) return 'noTarget';
    const key = canonicalName(filter.path);
    if (key === undefined) return 'noTarget';
    parent[name] = [...items, { [key]: filter.value, [path.sub]: value }];
    return null;
  }
  for (const item of matching) {
    if (path.sub !== null) item[path.sub] = value;
    else if (isDoc(value)) Object.assign(item, value);
    else return 'invalidValue';
  }
  return null;
}
