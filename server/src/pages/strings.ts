import { de } from './strings-de.ts';
import { en, type Strings } from './strings-en.ts';

export type { Strings } from './strings-en.ts';
export type Locale = 'en' | 'de';

const ALL: Record<Locale, Strings> = { en, de };

/** The words of one language. */
export function stringsOf(locale: Locale): Strings {
  return ALL[locale];
}

/** The best language for an Accept-Language header (RFC 9110, section 12.5.4); English when nothing fits. */
export function chooseLocale(acceptLanguage: string | undefined): Locale {
  const ranges = (acceptLanguage ?? '')
    .split(',')
    .slice(0, 20)
    .map((part) => {
      const [tag = '', ...parameters] = part.trim().toLowerCase().split(';');
      const q = parameters.map((p) => /^\s*q=([0-9.]{1,5})\s*$/.exec(p)?.[1]).find((value) => value !== undefined);
      return { language: tag.split('-')[0]!, q: q === undefined ? 1 : Number(q) };
    })
    .filter((range) => range.q > 0)
    .sort((a, b) => b.q - a.q);
  for (const { language } of ranges) if (Object.hasOwn(ALL, language)) return language as Locale;
  return 'en';
}

/** What a marked character is, in words. */
export function markName(strings: Strings, kind: 'escape' | 'byte' | 'lookalike', code: number): string {
  const { marks } = strings;
  if (kind === 'byte') return marks.byte;
  if (kind === 'lookalike') return marks.lookalike;
  if (marks.controls[code]) return marks.controls[code];
  const between = (low: number, high: number) => code >= low && code <= high;
  if (code < 0x20 || between(0x7f, 0x9f)) return marks.control;
  if (code === 0xad) return marks.softHyphen;
  if (code === 0x61c || between(0x200e, 0x200f) || between(0x202a, 0x202e) || between(0x2066, 0x2069))
    return marks.bidi;
  if (between(0x2028, 0x2029)) return marks.separator;
  if (between(0x200b, 0x200d) || between(0x2060, 0x2064) || code === 0xfeff || code === 0x34f) return marks.zeroWidth;
  if (code === 0xa0 || code === 0x1680 || between(0x2000, 0x200a) || [0x202f, 0x205f, 0x3000].includes(code)) {
    return marks.blank;
  }
  if ([0x115f, 0x1160, 0x3164, 0xffa0, 0x17b4, 0x17b5].includes(code)) return marks.filler;
  if (between(0xfe00, 0xfe0f) || between(0xe0100, 0xe01ef) || between(0x180b, 0x180f)) return marks.variation;
  if (between(0xe0000, 0xe007f)) return marks.tag;
  return marks.other;
}
