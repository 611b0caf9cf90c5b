import { EVENTS, type EventName, type EventRecord } from '../events.ts';
import { compileMessage, type MessageValues } from '../message-format.ts';
import { visibleText } from '../visible-text.ts';
import { de } from './de.ts';
import { en } from './en.ts';

/** A further language is one more entry: a catalogue in which every event has its sentence. */
const CATALOGUES = { en, de } satisfies Record<string, Record<EventName, string>>;

/** Languages in which events are read. */
export const SENTENCE_LOCALES = Object.keys(CATALOGUES) as [keyof typeof CATALOGUES, ...(keyof typeof CATALOGUES)[]];
export type SentenceLocale = keyof typeof CATALOGUES;

type Told = Pick<EventRecord, 'event' | 'username' | 'hostname' | 'code' | 'actor' | 'reason' | 'data'>;

type Sentence = ReturnType<typeof compileMessage>;
const compiled = new Map<string, Sentence>();

/** The message of an event, ready to be filled in. */
export function sentenceOf(name: EventName, locale: SentenceLocale): Sentence {
  const key = `${locale} ${name}`;
  const known = compiled.get(key) ?? compileMessage(CATALOGUES[locale][name], locale);
  compiled.set(key, known);
  return known;
}

/** What a sentence may name: the fields of every event, and plain facts of its data. `hasX` tells whether there is an X. */
function valuesOf({ username, hostname, code, actor, reason, data }: Told): MessageValues {
  const facts: Record<string, unknown> = { ...data, username, hostname, code, actor, reason };
  const values: Record<string, string | number> = {};
  const flags: Record<string, string> = {};
  for (const [name, fact] of Object.entries(facts)) {
    if (typeof fact === 'number') values[name] = fact;
    else if (typeof fact === 'boolean') values[name] = fact ? 'yes' : 'no';
    else if (typeof fact === 'string' && fact !== '') values[name] = visibleText(fact);
    flags[`has${name[0]?.toUpperCase()}${name.slice(1)}`] = Object.hasOwn(values, name) ? 'yes' : 'no';
  }
  return { ...values, ...flags };
}

/**
 * An event in one sentence, for people. What others chose the words of stands in it with everything invisible escaped; an
 * event that this version does not know is named.
 */
export function eventSentence(event: Told, locale: SentenceLocale = 'en'): string {
  if (!Object.hasOwn(EVENTS, event.event)) return `${visibleText(event.event)}.`;
  return sentenceOf(event.event as EventName, locale).format(valuesOf(event));
}
