import { visibleText } from '#shared/visible-text.ts';
import type { Exchange } from '../channel.ts';

/** What was said and answered in one try, as it was. Nothing of it is for people but through {@link shownExchange}. */
export interface RawExchange extends Pick<Exchange, 'request' | 'status'> {
  readonly answer: string;
  /** The receiver is in a network that was opened, or on this server. */
  readonly inside: boolean;
  /** Secrets of this try alone. */
  readonly secrets: readonly string[];
}

const MASK = '…';
/** Characters of an answer that are shown: it says what is wrong in the first ones. */
const MOST_SHOWN = 500;
/** Shorter parts of an address are no secret, and stand in every answer. */
const LEAST_PART = 6;

/** Of an address only where it is: the secret of a webhook is in its path. */
export function shownAddress(text: string): string {
  if (!URL.canParse(text)) return MASK;
  const { protocol, host, pathname, search } = new URL(text);
  if (!/^https?:$/.test(protocol) || host === '') return MASK;
  return `${protocol}//${host}/${pathname === '/' && search === '' ? '' : MASK}`;
}

/** All texts in a value, however deep. */
export function secretsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(secretsIn);
}

/** Parts by which a secret is a secret as well: words, and of an address its path, its parts and its query. */
function partsOf(secret: string): string[] {
  const words = secret.split(/\s+/);
  if (!URL.canParse(secret)) return words;
  const { pathname, search, searchParams } = new URL(secret);
  const parts = [pathname + search, pathname, ...pathname.split('/'), ...searchParams.values()];
  return [...words, ...parts.filter((part) => part.length >= LEAST_PART)];
}

/** How one and the same text may stand in an answer. */
function spellingsOf(text: string): string[] {
  const inJson = JSON.stringify(text).slice(1, -1);
  const spellings = [text, inJson, inJson.replaceAll('/', '\\/'), encodeURIComponent(text)];
  try {
    spellings.push(decodeURIComponent(text));
  } catch {
    // It is no text in percent encoding.
  }
  return spellings;
}

/** A pattern that is this text and nothing else. */
const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

/** A text with every secret masked that stands in it, in whatever case. */
export function masked(text: string, secrets: readonly string[]): string {
  const all = secrets.flatMap((secret) => [secret, ...partsOf(secret)]).flatMap(spellingsOf);
  // The longest first: of a part that is masked the rest would stay.
  const longestFirst = [...new Set(all)].filter((one) => one !== '').sort((a, b) => b.length - a.length);
  return longestFirst.reduce((left, one) => left.replace(new RegExp(literal(one), 'gi'), MASK), text);
}

/**
 * An exchange as people may read it.
 *
 * @param secrets of the channel
 * @param isAnswerShown whether what was answered is theirs to read; what is masked in it is masked before it is cut
 */
export function shownExchange(raw: RawExchange, secrets: readonly string[], isAnswerShown: boolean): Exchange {
  const { request, status } = raw;
  const answer = isAnswerShown ? masked(raw.answer, [...secrets, ...raw.secrets]).trim() : '';
  const begins = answer.length > MOST_SHOWN ? `${answer.slice(0, MOST_SHOWN)}…` : answer;
  return { request, status, answer: begins === '' ? null : visibleText(begins) };
}
