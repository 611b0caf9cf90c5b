import { type Locale, localeOf } from '#shared/messages.ts';
import type { Words } from './catalogue.ts';
import { de } from './de.ts';
import { en } from './en.ts';

/** The texts in the language of the desktop (`de`, `de-AT`); English for what the shell does not speak. */
export function wordsFor(language: string): Words {
  return { en, de }[languageOf(language)];
}

/** @param language as BCP 47 (`de-AT`) or POSIX (`de_AT.UTF-8`) names it */
export function languageOf(language: string): Locale {
  return localeOf(language.replace('-', '_'));
}
