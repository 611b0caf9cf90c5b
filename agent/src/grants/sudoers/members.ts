import type { Who } from '../grant.ts';
import type { Member } from './parse.ts';

/** Whom a name of a user list means. */
export const whoOf = ({ type, text }: Member): Who => {
  if (type === 'all') return { type: 'everyone', name: '' };
  if (type === 'netgroup') return { type: 'netgroup', name: text.slice(1) };
  if (type === 'group') {
    if (text.startsWith('%:')) return { type: 'non-unix group', name: text.slice(2) };
    return text.startsWith('%#') ? { type: 'gid', name: text.slice(2) } : { type: 'group', name: text.slice(1) };
  }
  return /^#\d+$/.test(text) ? { type: 'uid', name: text.slice(1) } : { type: 'user', name: text };
};

/** A name that a list has in the end, and the names that are taken out of it again. */
export interface Listed {
  member: Member;
  except: Member[];
}

/** What a list without aliases comes to: sudo goes by the last name that matches. */
export function effective(list: readonly Member[]): Listed[] {
  const found: Listed[] = [];
  const decided = new Set<string>();
  const except: Member[] = [];
  for (const member of list.toReversed()) {
    if (decided.has(member.text)) continue;
    decided.add(member.text);
    if (member.negated) except.unshift(member);
    else found.unshift({ member, except: [...except] });
    if (member.type === 'all') break;
  }
  return found;
}

const SHOWN = 4;
function shownList(texts: readonly string[]): string {
  const more = texts.length - SHOWN;
  return more > 1 ? `${texts.slice(0, SHOWN).join(', ')} and ${more} more` : texts.join(', ');
}

/** `ALL` in the words of a person, or the names; with what is taken out again. Null when nothing is left. */
export function listWords(list: readonly Member[], all: string): string | null {
  const found = effective(list);
  if (found.length === 0) return null;
  const everything = found.find(({ member }) => member.type === 'all');
  if (everything === undefined) return shownList(found.map(({ member }) => member.text));
  const but = everything.except.map(({ text }) => text);
  return but.length === 0 ? all : `${all} but ${shownList(but)}`;
}
