import { compileMessage, type MessageValues } from '#shared/message-format.ts';
import { hostName } from '#shared/names.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Notice } from '../channel.ts';
import type { Catalogue, Labels, Told } from './catalogue.ts';
import { de } from './de.ts';
import { en } from './en.ts';
import { es } from './es.ts';
import { fr } from './fr.ts';
import { ja } from './ja.ts';
import { ko } from './ko.ts';
import { pt } from './pt.ts';
import { zh } from './zh.ts';

/** What is said in each language. */
export const CATALOGUES = { en, es, fr, de, ja, zh, pt, ko } satisfies Record<string, Catalogue>;
export type NoticeLocale = keyof typeof CATALOGUES;

/** Languages in which people are told. */
export const NOTICE_LOCALES = Object.keys(CATALOGUES) as [NoticeLocale, ...NoticeLocale[]];

/**
 * A notice in words. Nothing in it is invisible. What people chose the words of has gone through the {@link Mark} of the
 * channel; everything else is this server's, and holds nothing that any format takes for its own but `'` and `&`.
 */
export interface NoticeWords {
  title: string;
  /** One sentence, or two. */
  text: string;
  /** What stands beside it, each with its name. */
  facts: readonly (readonly [label: string, value: string])[];
  /** The page of a request that waits; null for everything else. It decides nothing by being opened. */
  link: { label: string; url: string } | null;
}

/** Writes a value that somebody else chose so that the format of a channel takes it for text, whatever is in it. */
export type Mark = (value: string) => string;

/**
 * For plain text, in which apps make links of what looks like one: with a scheme, and on phones also a mere name of a
 * domain (`evil.example/approve`) or an IPv4 address.
 */
export const unlinked: Mark = (value) =>
  value
    .replaceAll('://', '[:]//')
    .replace(/\bwww\./gi, 'www[.]')
    .replace(/(?<=[\p{L}\p{N}_-])\.(?=\p{L}[\p{L}\p{N}-])/gu, '[.]')
    .replace(/\b\d{1,3}(?:\.\d{1,3}){3}\b/g, (address) => address.replaceAll('.', '[.]'));

/** What hosts are called is no text of people: it is theirs who enrol them, and is read often. */
const unlinkedHost: Mark = (value) => (hostName.safeParse(value).success ? value : unlinked(value));

/** False: another version of the server wrote it. */
const isKnown = (event: string): event is Told => Object.hasOwn(en.titles, event);

/** Longer values are cut: a command can fill a screen, and services refuse or split what is too long. */
const MAX_VALUE = 200;
const MAX_COMMAND = 400;

const compiled = new Map<string, ReturnType<typeof compileMessage>>();

function say(locale: NoticeLocale, message: string, values: MessageValues = {}): string {
  const key = `${locale} ${message}`;
  const known = compiled.get(key) ?? compileMessage(message, locale);
  compiled.set(key, known);
  return known.format(values);
}

/** Text of others on one line, with what is invisible in it made visible. */
export function shown(text: string, most = MAX_VALUE): string {
  const visible = [...visibleText(text)];
  return visible.length > most ? `${visible.slice(0, most - 1).join('')}…` : visible.join('');
}

/** The notice in words of a language. `now`: milliseconds, for what is left of a request. */
export function noticeWords(notice: Notice, locale: NoticeLocale, now: number, mark: Mark = unlinked): NoticeWords {
  const { titles, texts, labels } = CATALOGUES[locale];
  const { event, request } = notice;
  const values: Record<string, string> = {};
  const given = { username: notice.username, hostname: notice.hostname, actor: notice.actor, reason: notice.reason };
  for (const [name, value] of Object.entries({ ...given, code: request?.userCode ?? null })) {
    const write = mark === unlinked && name === 'hostname' ? unlinkedHost : mark;
    if (value !== null && value !== '') values[name] = write(shown(value));
    values[`has${name[0]!.toUpperCase()}${name.slice(1)}`] = Object.hasOwn(values, name) ? 'yes' : 'no';
  }
  const known = isKnown(event);
  const title = known ? titles[event] : `${labels.other}: ${mark(shown(event))}`;
  const text = known ? say(locale, texts[event], values) : title;
  const more = notice.folded > 0 ? ` ${say(locale, labels.folded, { count: notice.folded })}.` : '';
  const waits = event === 'challenge_created' && request !== null;
  const left = waits ? Math.max(0, Math.ceil((request.expiresAt - now) / 1000)) : 0;
  const facts: [keyof Labels, string | undefined][] = [
    ['user', values.username],
    ['host', values.hostname],
    ['command', request?.command == null ? undefined : mark(shown(request.command, MAX_COMMAND))],
    ['code', values.code],
    ['expires', waits ? say(locale, labels.seconds, { seconds: left }) : undefined],
    ['reason', values.reason],
    ['by', values.actor],
  ];
  return {
    title,
    text: `${text}${more}`,
    facts: facts.flatMap(([label, value]) => (value === undefined ? [] : [[labels[label], value] as const])),
    link: waits ? { label: labels.open, url: request.onetapUrl ?? request.approvalUrl } : null,
  };
}

/** What takes the place of an announcement that is over, on screens where nobody is told how it ended. */
export const overWords = (locale: NoticeLocale): NoticeWords => ({
  title: CATALOGUES[locale].labels.over,
  text: '',
  facts: [],
  link: null,
});

/** The words as lines of plain text, without the title. */
export const plainLines = ({ text, facts, link }: NoticeWords): string[] => [
  text,
  ...facts.map(([label, value]) => `${label}: ${value}`),
  ...(link === null ? [] : [`${link.label}: ${link.url}`]),
];
