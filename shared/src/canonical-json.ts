/** A value that JSON can carry. Numbers must be safe integers wherever a hash or a signature depends on them. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/**
 * The canonical form of a JSON value, RFC 8785 (JCS): object members sorted by UTF-16 code units, no white space,
 * ECMAScript number and string serialisation. Both ends hash this form, so it must not depend on insertion order.
 *
 * @throws TypeError for what has no canonical form: lone surrogates, NaN, infinities, undefined, functions.
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      // A lone surrogate would be replaced when encoded to UTF-8: two different texts with one hash.
      if (!value.isWellFormed()) throw new TypeError('canonicalJson: lone surrogate');
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError('canonicalJson: not a finite number');
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object': {
      if (value === null) return 'null';
      if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
      // Without a comparison of its own, sort() goes by UTF-16 code units.
      const keys = Object.keys(value).sort();
      const members = keys.map(
        (key) => `${canonicalJson(key)}:${canonicalJson((value as Record<string, unknown>)[key])}`,
      );
      return `{${members.join(',')}}`;
    }
    default:
      throw new TypeError(`canonicalJson: ${typeof value} has no JSON form`);
  }
}
