import type { Asker } from './ask.ts';

/** Which rules slapd has for an attribute, by its own account. */
export interface Rules {
  equality: string | null;
  ordering: string | null;
  substring: string | null;
  syntax: string | null;
}

/** @returns the rules of an attribute by any of its names or its OID; undefined when slapd does not know it. */
export type RulesOf = (attribute: string) => Rules | undefined;

interface Described extends Rules {
  sup: string | null;
}

/** Reads slapd's `cn=Subschema`, with what attributes inherit filled in. */
export async function readSlapdSchema(slapd: Asker): Promise<RulesOf> {
  const [reply] = await slapd.ask({ base: 'cn=Subschema', scope: 0, attributes: ['attributeTypes'] });
  const known = new Map<string, Described>();
  for (const line of reply?.entries[0]?.attributes.get('attributeTypes') ?? []) {
    const field = (name: string): string | null => new RegExp(` ${name} ([^ {]+)`).exec(line)?.[1] ?? null;
    const description: Described = {
      equality: field('EQUALITY'),
      ordering: field('ORDERING'),
      substring: field('SUBSTR'),
      syntax: field('SYNTAX'),
      sup: field('SUP'),
    };
    const [, oid = ''] = /^\( (\S+)/.exec(line) ?? [];
    const [, one, many = ''] = /NAME (?:'([^']+)'|\(([^)]+)\))/.exec(line) ?? [];
    const names = one === undefined ? [...many.matchAll(/'([^']+)'/g)].map(([, name]) => name!) : [one];
    for (const name of [oid, ...names]) known.set(name.toLowerCase(), description);
  }
  const resolve = (name: string): Described | undefined => {
    const own = known.get(name.toLowerCase());
    if (own?.sup == null) return own;
    const above = resolve(own.sup);
    return {
      sup: own.sup,
      equality: own.equality ?? above?.equality ?? null,
      ordering: own.ordering ?? above?.ordering ?? null,
      substring: own.substring ?? above?.substring ?? null,
      syntax: own.syntax ?? above?.syntax ?? null,
    };
  };
  return resolve;
}
