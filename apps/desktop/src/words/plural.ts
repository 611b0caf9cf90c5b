/** A text that depends on a number, by the plural rules of its language (CLDR, as `Intl` knows them). */
export function plural(
  language: string,
  forms: Partial<Record<Intl.LDMLPluralRule, (n: string) => string>> & { other: (n: string) => string },
): (n: number) => string {
  const rules = new Intl.PluralRules(language);
  const digits = new Intl.NumberFormat(language);
  return (n) => (forms[rules.select(n)] ?? forms.other)(digits.format(n));
}
