import type { FoundEntry, Reply } from './ask.ts';

/**
 * Replies in a form in which only differences that mean something remain. Names are taken apart with a few lines that
 * share nothing with the server under test.
 */

/** Attributes whose values are names: slapd rewrites the spelling of such values. */
const NAMES = new Set(
  'member owner seeAlso manager memberOf creatorsName modifiersName entryDN subschemaSubentry'.split(' '),
);

function splitOutsideEscapes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (let i = 0; i < text.length; i++) {
    if (text[i] === separator) {
      parts.push(part);
      part = '';
    } else if (text[i] === '\\') part += text.slice(i, ++i + 1);
    else part += text[i];
  }
  return [...parts, part];
}

function unescaped(value: string): string {
  const bytes: Buffer[] = [];
  for (const [, hex, character, plain] of value.matchAll(/\\([0-9a-fA-F]{2})|\\(.)|([^\\]+)/gs)) {
    bytes.push(hex !== undefined ? Buffer.from(hex, 'hex') : Buffer.from(character ?? plain!, 'utf8'));
  }
  return Buffer.concat(bytes).toString('utf8');
}

/** A name as a list of lists of type and value; values as they are spelled. */
export function nameOf(dn: string): [type: string, value: string][][] {
  if (dn === '') return [];
  return splitOutsideEscapes(dn, ',').map((rdn) =>
    splitOutsideEscapes(rdn, '+')
      .map((part): [string, string] => {
        const at = part.indexOf('=');
        const value = part.slice(at + 1).replace(/^ +/, '');
        const bare = value.replace(/ +$/, '');
        return [part.slice(0, at).trim().toLowerCase(), unescaped(bare.endsWith('\\') ? `${bare} ` : bare)];
      })
      .sort(),
  );
}

const canonicalName = (dn: string): string => JSON.stringify(nameOf(dn));

const canonicalValues = (attributes: FoundEntry['attributes']): unknown[] =>
  [...attributes]
    .map(([name, values]) => [name, values.map((value) => (NAMES.has(name) ? canonicalName(value) : value)).sort()])
    .sort();

function canonicalEntry({ dn, attributes, dereferenced }: FoundEntry): string {
  const named = dereferenced?.map((one) =>
    JSON.stringify([one.attribute, nameOf(one.name), one.attributes && canonicalValues(one.attributes)]),
  );
  return JSON.stringify([nameOf(dn), canonicalValues(attributes), named?.sort()]);
}

/** One line per fact, in an order that does not depend on the server's. */
export function canonical({ code, matchedDn, entries }: Reply): string[] {
  return [`code ${code ?? 'closed'}`, `matched ${canonicalName(matchedDn)}`, ...entries.map(canonicalEntry).sort()];
}
