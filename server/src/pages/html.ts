const SAFE = Symbol('safe html');

/** Markup that was made by {@link html}. The symbol cannot come out of JSON, so data never passes for markup. */
export interface Html {
  readonly [SAFE]: string;
}

export type HtmlValue = Html | string | number | null | undefined | false | readonly HtmlValue[];

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function toText(value: HtmlValue): string {
  if (value === null || value === undefined || value === false) return '';
  if (typeof value === 'string') return value.replace(/[&<>"']/g, (char) => ESCAPES[char]!);
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return value.map(toText).join('');
  return (value as Html)[SAFE];
}

/** Template tag: everything put in is escaped unless it is itself `Html`. Attributes must be quoted. */
export function html(strings: TemplateStringsArray, ...values: HtmlValue[]): Html {
  let out = strings[0]!;
  for (let i = 0; i < values.length; i++) out += toText(values[i]) + strings[i + 1]!;
  return { [SAFE]: out };
}

/** The finished document. */
export function render(markup: Html): string {
  return markup[SAFE];
}

/** JSON for a `<script type="application/json">` block: nothing in it can end the block or open a comment. */
export function jsonBlock(value: unknown): Html {
  return {
    [SAFE]: JSON.stringify(value).replace(
      /[<>&\u2028\u2029]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  };
}
