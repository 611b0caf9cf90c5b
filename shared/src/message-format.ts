/** What is filled into a message: texts as they are, and words that choose between its variants. */
export type MessageValues = Readonly<Record<string, string | number>>;

type Part =
  | { readonly text: string }
  | { readonly name: string }
  | { readonly name: string; readonly variants: ReadonlyMap<string, readonly Part[]>; readonly plural: boolean };

/**
 * The part of ICU MessageFormat that the catalogues need, so that translators' tools read them: `{name}`,
 * `{name, select, word {…} other {…}}` and `{name, plural, one {…} other {# …}}`. There is no quoting with apostrophes: a
 * message holds no braces of its own.
 *
 * @throws SyntaxError when a message is none
 */
export function compileMessage(
  message: string,
  locale: string,
): { names: ReadonlySet<string>; format(values: MessageValues): string } {
  const names = new Set<string>();
  const parts = parse(message, names);
  const plurals = new Intl.PluralRules(locale);
  const numbers = new Intl.NumberFormat(locale);

  function formatAll(some: readonly Part[], values: MessageValues, count: number | null): string {
    return some.map((part) => formatPart(part, values, count)).join('');
  }

  function formatPart(part: Part, values: MessageValues, count: number | null): string {
    if ('text' in part) return count === null ? part.text : part.text.replaceAll('#', numbers.format(count));
    const value = Object.hasOwn(values, part.name) ? values[part.name]! : '–';
    if (!('variants' in part)) return typeof value === 'number' ? numbers.format(value) : value;
    const word = part.plural ? plurals.select(Number(value)) : String(value);
    const variant = part.variants.get(word) ?? part.variants.get('other')!;
    return formatAll(variant, values, part.plural ? Number(value) : count);
  }

  return { names, format: (values) => formatAll(parts, values, null) };
}

function parse(message: string, names: Set<string>): Part[] {
  let at = 0;
  const fail = (what: string): never => {
    throw new SyntaxError(`${what} at ${at} of “${message}”`);
  };
  const blanks = () => {
    while (message[at] === ' ') at += 1;
  };
  const expected = (char: string) => {
    if (message[at] !== char) fail(`no ${char}`);
    at += 1;
  };
  function word(): string {
    blanks();
    const [found] = /^[a-zA-Z][a-zA-Z0-9_]*/.exec(message.slice(at)) ?? fail('no name');
    at += found.length;
    blanks();
    return found;
  }

  function argument(): Part {
    const name = word();
    names.add(name);
    if (message[at] === '}') return { name };
    expected(',');
    const kind = word();
    if (kind !== 'select' && kind !== 'plural') fail('neither select nor plural');
    expected(',');
    const variants = new Map<string, Part[]>();
    blanks();
    while (message[at] !== '}') {
      const variant = word();
      expected('{');
      variants.set(variant, sequence());
      expected('}');
      blanks();
    }
    if (!variants.has('other')) fail('no other');
    return { name, variants, plural: kind === 'plural' };
  }

  function sequence(): Part[] {
    const parts: Part[] = [];
    while (at < message.length && message[at] !== '}') {
      if (message[at] === '{') {
        at += 1;
        parts.push(argument());
        expected('}');
        continue;
      }
      const [text] = /^[^{}]+/.exec(message.slice(at))!;
      at += text.length;
      parts.push({ text });
    }
    return parts;
  }

  const parts = sequence();
  if (at < message.length) fail('a brace too many');
  return parts;
}
