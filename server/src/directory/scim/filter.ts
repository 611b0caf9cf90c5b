import { parseClean } from './clean-text.ts';

/** A SCIM filter (RFC 7644 3.4.2.2). Attribute paths are in lower case and without the URN of a core schema. */
export type Filter =
  | { readonly op: 'and' | 'or'; readonly left: Filter; readonly right: Filter }
  | { readonly op: 'not'; readonly of: Filter }
  | { readonly op: 'pr'; readonly path: string }
  | { readonly op: 'any'; readonly path: string; readonly of: Filter }
  | { readonly op: Comparison; readonly path: string; readonly value: string | number | boolean | null };
type Comparison = 'eq' | 'ne' | 'co' | 'sw' | 'ew' | 'gt' | 'ge' | 'lt' | 'le';

const COMPARISONS = ['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'ge', 'lt', 'le'];
const CORE_URN = /^urn:ietf:params:scim:schemas:core:2\.0:(?:user|group):/;
const MAX_LENGTH = 4096;
const MAX_DEPTH = 20;
const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|([()[\]])|([^\s()[\]"]+))/y;

/** @returns null for what is no filter, or one that nests too deep. */
export function parseFilter(text: string): Filter | null {
  if (text.length > MAX_LENGTH) return null;
  const tokens: string[] = [];
  const rest = text.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < rest.length) {
    const match = TOKEN.exec(rest);
    if (!match) return null;
    tokens.push(match[1] ?? match[2] ?? match[3]!);
  }
  let at = 0;
  let depth = 0;
  const word = () => tokens[at]?.toLowerCase();

  function nested<T>(run: () => T | null): T | null {
    depth += 1;
    const result = depth > MAX_DEPTH ? null : run();
    depth -= 1;
    return result;
  }
  function either(): Filter | null {
    let left = both();
    while (left && word() === 'or') {
      at += 1;
      const right = both();
      left = right && { op: 'or', left, right };
    }
    return left;
  }
  function both(): Filter | null {
    let left = one();
    while (left && word() === 'and') {
      at += 1;
      const right = one();
      left = right && { op: 'and', left, right };
    }
    return left;
  }
  function enclosed(close: string): Filter | null {
    at += 1;
    const of = nested(either);
    if (!of || tokens[at] !== close) return null;
    at += 1;
    return of;
  }
  function one(): Filter | null {
    if (word() === 'not' && tokens[at + 1] === '(') {
      at += 1;
      const of = enclosed(')');
      return of && { op: 'not', of };
    }
    if (tokens[at] === '(') return enclosed(')');
    const path = word()?.replace(CORE_URN, '');
    if (path === undefined || !/^[a-z$][a-z0-9:._$-]*$/.test(path)) return null;
    at += 1;
    if (tokens[at] === '[') {
      const of = enclosed(']');
      // `emails[type eq "work"].value eq "a@example.com"`: Entra looks people up like this.
      const part = /^\.([a-z$][a-z0-9_$-]*)$/.exec(word() ?? '')?.[1];
      if (!of || part === undefined) return of && { op: 'any', path, of };
      at += 1;
      const also = comparison(part);
      return also && { op: 'any', path, of: { op: 'and', left: of, right: also } };
    }
    return comparison(path);
  }
  function comparison(path: string): Filter | null {
    const op = word();
    at += 1;
    if (op === 'pr') return { op, path };
    if (op === undefined || !COMPARISONS.includes(op)) return null;
    const raw = tokens[at];
    at += 1;
    if (raw === undefined) return null;
    try {
      const value = parseClean(/^(true|false|null)$/i.test(raw) ? raw.toLowerCase() : raw);
      if (value !== null && !['string', 'number', 'boolean'].includes(typeof value)) return null;
      return { op: op as Comparison, path, value: value as string | number | boolean | null };
    } catch {
      return null;
    }
  }
  const filter = either();
  return filter && at === tokens.length ? filter : null;
}

/** Whether a resource matches. Names and texts are compared without regard to case, `id` and `externalId` exactly. */
export function matchesFilter(filter: Filter, resource: unknown): boolean {
  switch (filter.op) {
    case 'and':
      return matchesFilter(filter.left, resource) && matchesFilter(filter.right, resource);
    case 'or':
      return matchesFilter(filter.left, resource) || matchesFilter(filter.right, resource);
    case 'not':
      return !matchesFilter(filter.of, resource);
    case 'pr':
      return valuesAt(resource, filter.path).some((value) => value !== null && value !== '');
    case 'any':
      return valuesAt(resource, filter.path).some((value) => matchesFilter(filter.of, value));
    case 'ne':
      return !valuesAt(resource, filter.path).some((value) => compare('eq', filter.path, value, filter.value));
    default: {
      const { op, path, value: wanted } = filter;
      return valuesAt(resource, path).some((value) => compare(op, path, value, wanted));
    }
  }
}

function compare(op: Comparison, path: string, found: unknown, wanted: string | number | boolean | null): boolean {
  const simple = typeof found === 'object' && found !== null ? (found as { value?: unknown }).value : found;
  if (typeof simple === 'string' && typeof wanted === 'string') {
    const exact = /^(id|externalid|value|meta\..*)$/.test(path);
    const [a, b] = exact ? [simple, wanted] : [simple.toLowerCase(), wanted.toLowerCase()];
    switch (op) {
      case 'eq':
        return a === b;
      case 'co':
        return a.includes(b);
      case 'sw':
        return a.startsWith(b);
      case 'ew':
        return a.endsWith(b);
      case 'gt':
        return a > b;
      case 'ge':
        return a >= b;
      case 'lt':
        return a < b;
      case 'le':
        return a <= b;
      default:
        return false;
    }
  }
  // Entra writes "True" and "False".
  if (typeof simple === 'boolean' && typeof wanted === 'string') {
    return op === 'eq' && String(simple) === wanted.toLowerCase();
  }
  if (op === 'eq') return simple === wanted;
  if (typeof simple !== 'number' || typeof wanted !== 'number') return false;
  return (
    (op === 'gt' && simple > wanted) ||
    (op === 'ge' && simple >= wanted) ||
    (op === 'lt' && simple < wanted) ||
    (op === 'le' && simple <= wanted)
  );
}

/** Everything at a path; lists are looked into. URNs are one step. */
function valuesAt(resource: unknown, path: string): unknown[] {
  let values: unknown[] = [resource];
  const urn = /^(urn:[^ ]+:(?:user|group)):(.+)$/.exec(path);
  const steps = urn ? [urn[1]!, ...urn[2]!.split('.')] : path.startsWith('urn:') ? [path] : path.split('.');
  for (const step of steps) {
    values = values.flatMap((value) => {
      const items = Array.isArray(value) ? value : [value];
      return items.flatMap((item) => {
        if (typeof item !== 'object' || item === null) return [];
        const key = Object.keys(item).find((name) => name.toLowerCase() === step);
        return key === undefined ? [] : [(item as Record<string, unknown>)[key]];
      });
    });
  }
  return values.flatMap((value) => (Array.isArray(value) ? value : [value])).filter((value) => value !== undefined);
}
