import { slug } from '../scim/resource.ts';
import type { DirectorySettings } from '../settings.ts';
import { isReservedGroup, isReservedUser } from './reserved-names.ts';

/** The longest account or group name, characters. */
const LONGEST = 32;

/** How a character that cannot be seen is written in a name: see `visibleText`. */
const UNSEEN = /\\(?:x[0-9a-f]{2}|u\{[0-9a-f]+\})/g;

/** The first character that cannot be in a name, as an operator sees it. */
function shownCharacter(text: string, character: string): string {
  if (character === ' ') return 'a blank';
  if (character === '\\' && text.search(UNSEEN) === text.indexOf('\\')) return 'a character that cannot be seen';
  return `“${character}”`;
}

/** Which rule of naming a text breaks. @param text as it is after the policy for user names */
export function ruleBroken(text: string, policy: DirectorySettings['names']['policy']): string {
  if (text === '') return 'nothing is left of it';
  const capital = /[A-Z]/.exec(text);
  if (capital && policy !== 'preserve') return `it has the capital letter “${capital[0]}”`;
  const other = /[^a-zA-Z0-9_.-]/u.exec(text);
  if (other) return `it has ${shownCharacter(text, other[0])}, and only a-z, 0-9, “_”, “.” and “-” are possible`;
  if (!/^[a-zA-Z_]/.test(text)) return `it begins with “${text[0]}” and not with a letter`;
  if (text.length > LONGEST) return `it has ${text.length} characters, and ${LONGEST} are possible`;
  if (text.endsWith('.')) return 'it ends with a dot';
  return 'it is no account name';
}

/** How many names are tried: with a hundred thousand people of one name, another one more is no advice. */
const TRIES = 9;

/**
 * A name that can be had instead of one that cannot; null when none is near.
 *
 * @param isTaken whether a person or group has or had a name, or another was advised to take it
 */
export function nameInstead(
  kind: 'user' | 'group',
  text: string,
  reserved: readonly string[],
  isTaken: (name: string) => boolean,
): string | null {
  const barred = (name: string) => isTaken(name) || isReservedUser(name, reserved) || isReservedGroup(name, reserved);
  const seen = text.replace(UNSEEN, '');
  const plain = slug(kind === 'user' ? seen.replace(/@.*$/s, '') : seen) || kind;
  if (!barred(plain)) return plain;
  const base = slug(plain.replace(/^(_+|systemd-+|identree-*)/, '')) || kind;
  if (!barred(base)) return base;
  const stem = kind === 'group' ? `${base.slice(0, 23)}-team` : base;
  for (let n = kind === 'group' ? 1 : 2; n < TRIES; n += 1) {
    const name = n === 1 ? stem : `${stem}-${n}`;
    if (!barred(name)) return name;
  }
  return null;
}
