import fc from 'fast-check';
import { OCTET_STRING, SEQUENCE } from '../ber/tag.ts';
import { element } from '../ber/writer.ts';

/** A filter as data, to be encoded for the server and judged by `naive.ts`. */
export type TestFilter =
  | { kind: 'and' | 'or'; children: TestFilter[] }
  | { kind: 'not'; child: TestFilter }
  | { kind: 'present'; attribute: string }
  | { kind: 'equal' | 'atLeast' | 'atMost'; attribute: string; value: string }
  | { kind: 'similar'; attribute: string; value: string }
  | { kind: 'substring'; attribute: string; initial: string; any: string[]; final: string }
  | { kind: 'extensible'; attribute: string; rule: string; dn: boolean; value: string };

const pair = (tag: number, attribute: string, value: string): Buffer =>
  element(tag, element(OCTET_STRING, attribute), element(OCTET_STRING, value));

/** The filter as it is sent. */
export function encodeFilter(filter: TestFilter): Buffer {
  switch (filter.kind) {
    case 'and':
      return element(0xa0, ...filter.children.map(encodeFilter));
    case 'or':
      return element(0xa1, ...filter.children.map(encodeFilter));
    case 'not':
      return element(0xa2, encodeFilter(filter.child));
    case 'present':
      return element(0x87, filter.attribute);
    case 'equal':
      return pair(0xa3, filter.attribute, filter.value);
    case 'atLeast':
      return pair(0xa5, filter.attribute, filter.value);
    case 'atMost':
      return pair(0xa6, filter.attribute, filter.value);
    case 'similar':
      return pair(0xa8, filter.attribute, filter.value);
    case 'substring':
      return element(
        0xa4,
        element(OCTET_STRING, filter.attribute),
        element(
          SEQUENCE,
          ...(filter.initial === '' ? [] : [element(0x80, filter.initial)]),
          ...filter.any.map((part) => element(0x81, part)),
          ...(filter.final === '' ? [] : [element(0x82, filter.final)]),
        ),
      );
    default:
      return element(
        0xa9,
        ...(filter.rule === '' ? [] : [element(0x81, filter.rule)]),
        ...(filter.attribute === '' ? [] : [element(0x82, filter.attribute)]),
        element(0x83, filter.value),
        ...(filter.dn ? [element(0x84, Uint8Array.of(0xff))] : []),
      );
  }
}

const escapeValue = (value: string): string =>
  value.replace(/[\\*()\u0000]/g, (character) => `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`);

/** The filter as people write it (RFC 4515). */
export function filterText(filter: TestFilter): string {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return `(${filter.kind === 'and' ? '&' : '|'}${filter.children.map(filterText).join('')})`;
    case 'not':
      return `(!${filterText(filter.child)})`;
    case 'present':
      return `(${filter.attribute}=*)`;
    case 'equal':
      return `(${filter.attribute}=${escapeValue(filter.value)})`;
    case 'atLeast':
      return `(${filter.attribute}>=${escapeValue(filter.value)})`;
    case 'atMost':
      return `(${filter.attribute}<=${escapeValue(filter.value)})`;
    case 'similar':
      return `(${filter.attribute}~=${escapeValue(filter.value)})`;
    case 'substring':
      return `(${filter.attribute}=${[filter.initial, ...filter.any, filter.final].map(escapeValue).join('*')})`;
    default:
      return `(${filter.attribute}${filter.dn ? ':dn' : ''}${filter.rule === '' ? '' : `:${filter.rule}`}:=${escapeValue(filter.value)})`;
  }
}

/** Filters over these attributes and values, up to four levels deep. */
export function arbitraryFilter(attributes: readonly string[], values: readonly string[]): fc.Arbitrary<TestFilter> {
  const attribute = fc.constantFrom(...attributes);
  const whole = fc.constantFrom(...values);
  const value = fc.oneof(
    { weight: 6, arbitrary: whole },
    { weight: 1, arbitrary: whole.map((text) => text.toUpperCase()) },
    { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom(...'abu01 *+/=,'), minLength: 1, maxLength: 6 }) },
  );
  const piece = fc.tuple(whole, fc.nat(10), fc.integer({ min: 1, max: 6 })).map(([text, start, length]) => {
    const letters = [...text];
    return letters.slice(start % letters.length, (start % letters.length) + length).join('');
  });
  const maybe = fc.oneof(fc.constant(''), piece);
  const leaf = fc.oneof(
    fc.record({ kind: fc.constant('present' as const), attribute }),
    fc.record({ kind: fc.constantFrom('equal' as const, 'atLeast' as const, 'atMost' as const), attribute, value }),
    fc.record({ kind: fc.constant('equal' as const), attribute, value }),
    fc
      .record({
        kind: fc.constant('substring' as const),
        attribute,
        initial: maybe,
        any: fc.array(piece, { maxLength: 2 }),
        final: maybe,
      })
      .filter(({ initial, any, final }) => initial !== '' || any.length > 0 || final !== ''),
  );
  const { tree } = fc.letrec<{ tree: TestFilter }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      leaf,
      fc.record({
        kind: fc.constantFrom('and' as const, 'or' as const),
        children: fc.array(tie('tree'), { maxLength: 4 }),
      }),
      fc.record({ kind: fc.constant('not' as const), child: tie('tree') }),
    ),
  }));
  return tree;
}
