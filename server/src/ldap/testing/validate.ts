import type { Answer } from './messages.ts';

/** What a published subschema says (RFC 4512 4.1 and 4.2), read from its text as a client reads it. */
export interface PublishedSchema {
  /** By each of its names and its number, in lower case. */
  types: Map<string, { names: string[]; sup: string | null; single: boolean; operational: boolean }>;
  classes: Map<string, { kind: string; sup: string[]; must: string[]; may: string[] }>;
}

/** Words of a description: quoted text without its quotes, parentheses, and everything between spaces. */
const tokens = (description: string): string[] =>
  [...description.matchAll(/'([^']*)'|[()$]|[^\s()$']+/g)].map(([whole, text]) => text ?? whole);

/** The values of a field: one, or a list in parentheses. */
function field(description: string, name: string): string[] {
  const words = tokens(description);
  const at = words.indexOf(name);
  if (at < 0) return [];
  if (words[at + 1] !== '(') return [words[at + 1]!.toLowerCase()];
  const list = words.slice(at + 2, words.indexOf(')', at));
  return list.filter((word) => word !== '$').map((word) => word.toLowerCase());
}

const numberOf = (description: string): string => tokens(description)[1]!;
const valuesOf = (entry: Answer, name: string): string[] =>
  [...entry.attributes!].find(([key]) => key.toLowerCase() === name)?.[1] ?? [];

/** Reads the entry `cn=subschema` as it came. */
export function readSchema(subschema: Answer): PublishedSchema {
  const types: PublishedSchema['types'] = new Map();
  for (const text of valuesOf(subschema, 'attributetypes')) {
    const names = field(text, 'NAME');
    const [usage = 'userapplications'] = field(text, 'USAGE');
    const type = {
      names,
      sup: field(text, 'SUP')[0] ?? null,
      single: tokens(text).includes('SINGLE-VALUE'),
      operational: usage !== 'userapplications',
    };
    for (const name of [...names, numberOf(text)]) types.set(name, type);
  }
  const classes: PublishedSchema['classes'] = new Map();
  for (const text of valuesOf(subschema, 'objectclasses')) {
    const kind = ['ABSTRACT', 'AUXILIARY'].find((word) => tokens(text).includes(word)) ?? 'STRUCTURAL';
    const one = { kind, sup: field(text, 'SUP'), must: field(text, 'MUST'), may: field(text, 'MAY') };
    for (const name of [...field(text, 'NAME'), numberOf(text)]) classes.set(name, one);
  }
  return { types, classes };
}

/** What is wrong with an entry by the schema that its server publishes (RFC 4512 2.4, 2.5); empty: nothing. */
export function problemsOf(entry: Answer, { types, classes }: PublishedSchema): string[] {
  const problems: string[] = [];
  const named = new Set(valuesOf(entry, 'objectclass').map((name) => name.toLowerCase()));
  const all = new Set<string>();
  const follow = (name: string): void => {
    if (all.has(name)) return;
    all.add(name);
    const one = classes.get(name);
    if (one === undefined) problems.push(`class ${name} is not published`);
    else for (const sup of one.sup) follow(sup);
  };
  for (const name of named) follow(name);
  const known = [...all].flatMap((name) => classes.get(name) ?? []);
  const structural = [...named].filter((name) => classes.get(name)?.kind === 'STRUCTURAL');
  const above = new Set(structural.flatMap((name) => classes.get(name)!.sup));
  const lowest = structural.filter((name) => !above.has(name));
  // The root is no entry of the directory (RFC 4512 5.1).
  if (lowest.length !== 1 && entry.dn !== '') problems.push(`structural classes: ${lowest.join(', ') || 'none'}`);

  const allowed = new Set(known.flatMap(({ must, may }) => [...must, ...may]));
  const isAllowed = (name: string | null): boolean => {
    if (name === null) return false;
    const type = types.get(name);
    return type !== undefined && (type.names.some((one) => allowed.has(one)) || isAllowed(type.sup));
  };
  const present = new Set<string>();
  for (const [key, values] of entry.attributes!) {
    const name = key.toLowerCase();
    const type = types.get(name);
    if (type === undefined) problems.push(`attribute ${name} is not published`);
    else {
      for (const one of type.names) present.add(one);
      if (type.single && values.length > 1) problems.push(`${name} has ${values.length} values`);
      if (!type.operational && !all.has('extensibleobject') && !isAllowed(name)) {
        problems.push(`no class allows ${name}`);
      }
    }
  }
  for (const name of new Set(known.flatMap(({ must }) => must))) {
    if (!present.has(name)) problems.push(`${name} is missing`);
  }
  return problems;
}
