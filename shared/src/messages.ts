import de from './locales/de.json' with { type: 'json' };
import en from './locales/en.json' with { type: 'json' };

export type MessageKey = keyof typeof en;
export type Locale = 'en' | 'de';

const CATALOGUES: Record<Locale, Record<MessageKey, string>> = { en, de };

/**
 * The language of a POSIX locale name (`de_AT.UTF-8`) or a BCP 47 tag (`de-AT`); English for C, POSIX and what we do not
 * speak.
 */
export function localeOf(name: string): Locale {
  return /^de([-_.@]|$)/i.test(name) ? 'de' : 'en';
}

/** A message with its `{name}` places filled in. A place without a value stays as it is, so that a test notices. */
export function t(
  key: MessageKey,
  params: Readonly<Record<string, string | number>> = {},
  locale: Locale = 'en',
): string {
  return CATALOGUES[locale][key].replace(/\{([a-zA-Z]+)\}/g, (place, name: string) =>
    Object.hasOwn(params, name) ? String(params[name]) : place,
  );
}

/** Time left as people read it: `45 s`, `2 min`, `1 h`. Whole units, rounded down above two minutes. */
export function timeLeft(ms: number, locale: Locale): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return t('time.seconds', { n: seconds }, locale);
  if (seconds < 7200) return t('time.minutes', { n: Math.floor(seconds / 60) }, locale);
  return t('time.hours', { n: Math.floor(seconds / 3600) }, locale);
}
