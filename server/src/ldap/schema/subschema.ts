import { MATCHING_RULES, SYNTAXES } from './rules.ts';
import { attributes, classes, syntaxOid } from './schema.ts';

const quoted = (names: readonly string[]): string =>
  names.length === 1 ? `'${names[0]}'` : `( ${names.map((name) => `'${name}'`).join(' ')} )`;

const oids = (names: readonly string[]): string => (names.length === 1 ? names[0]! : `( ${names.join(' $ ')} )`);

/** `attributeTypes` of `cn=subschema` (RFC 4512 4.1.2). */
export function describeAttributes(): string[] {
  return attributes.map(({ id, definition, operational, computed }) => {
    const { names, oid, sup, equality, ordering, substring, single } = definition;
    return [
      `( ${oid} NAME ${quoted(names)}`,
      sup && `SUP ${sup}`,
      equality && `EQUALITY ${equality}`,
      ordering && `ORDERING ${ordering}`,
      substring && `SUBSTR ${substring}`,
      (!sup || definition.syntax) && `SYNTAX ${syntaxOid(id)}`,
      single && 'SINGLE-VALUE',
      operational && 'NO-USER-MODIFICATION USAGE',
      operational && (computed || !names.some(isDsaWide) ? 'directoryOperation' : 'dSAOperation'),
      ')',
    ]
      .filter(Boolean)
      .join(' ');
  });
}

const isDsaWide = (name: string): boolean => /^(supported|vendor|namingContexts|defaultNaming|lastUSN)/.test(name);

/** `objectClasses` of `cn=subschema` (RFC 4512 4.1.1). */
export function describeClasses(): string[] {
  return classes.map(({ definition: { name, oid, sup, kind, must, may } }) =>
    [
      `( ${oid} NAME '${name}'`,
      sup && `SUP ${sup}`,
      kind,
      must.length > 0 && `MUST ${oids(must)}`,
      may.length > 0 && `MAY ${oids(may)}`,
      ')',
    ]
      .filter(Boolean)
      .join(' '),
  );
}

/** `matchingRules` of `cn=subschema` (RFC 4512 4.1.3). */
export function describeMatchingRules(): string[] {
  return MATCHING_RULES.map(({ oid, name, syntax }) => `( ${oid} NAME '${name}' SYNTAX ${syntax} )`);
}

/** `ldapSyntaxes` of `cn=subschema` (RFC 4512 4.1.5). */
export function describeSyntaxes(): string[] {
  return Object.values(SYNTAXES).map(({ oid, description }) => `( ${oid} DESC '${description}' )`);
}
