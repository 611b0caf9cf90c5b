import { type ConsolePath, pagesFor } from '#shared/console.ts';
import { type Locale, t } from '#shared/messages.ts';
import { visibleText } from '#shared/visible-text.ts';
import { isUnreadable, type Unreadable } from '../kit/arrange.ts';
import { hasWords } from '../kit/has-words.ts';

/** Everything that the palette can have done. There is none that decides: who looks for a request has not read it yet. */
export type PaletteAct =
  | { do: 'show-page'; path: ConsolePath }
  | { do: 'show-request'; code: string }
  | { do: 'show-server'; origin: string }
  | { do: 'sign-out' };

/** Headings of the palette, in their order. */
export const PALETTE_GROUPS = ['requests', 'pages', 'servers', 'session'] as const;

export interface PaletteEntry {
  /** Stays the same while others come and go. */
  readonly id: string;
  readonly group: (typeof PALETTE_GROUPS)[number];
  /** Safe to display, as is the rest. */
  readonly label: string;
  readonly detail: string | null;
  readonly act: PaletteAct;
}

/** What a request that waits is found by. */
export interface WaitingEntry {
  readonly userCode: string;
  readonly user: string;
  readonly command: string;
  readonly createdAt: number;
  readonly host: { readonly name: string };
}

/** A server of the desktop app, and what its menu says of it. */
export interface ServerEntry {
  readonly origin: string;
  readonly label: string;
}

/** More are looked for in the inbox. */
const NEWEST = 5;

/**
 * What the palette offers to this person: the newest requests that wait, the pages that they may open, their other servers,
 * and the way out; of these, what has all the words that were typed.
 *
 * @param about.waiting null: not known yet
 */
export function paletteEntries(
  about: {
    role: 'user' | 'admin';
    waiting: readonly (WaitingEntry | Unreadable)[] | null;
    servers: readonly ServerEntry[];
  },
  search: string,
  locale: Locale,
): PaletteEntry[] {
  const matches = hasWords(search);
  const found = ({ label, detail, group }: PaletteEntry) =>
    matches([label, detail ?? '', t(`palette.${group}`, {}, locale)].join(' '));
  const requests = [...(about.waiting ?? [])]
    .filter((one): one is WaitingEntry => !isUnreadable(one))
    .sort((a, b) => b.createdAt - a.createdAt)
    .map((one) => requestEntry(one, locale))
    .filter(found)
    .slice(0, NEWEST);
  const others: PaletteEntry[] = [
    ...pagesFor(about.role).map(({ path, title }) => ({
      id: `page ${path}`,
      group: 'pages' as const,
      label: title,
      detail: null,
      act: { do: 'show-page' as const, path },
    })),
    ...about.servers.map(({ origin, label }) => ({
      id: `server ${origin}`,
      group: 'servers' as const,
      label: visibleText(label),
      detail: label.startsWith(new URL(origin).host) ? null : new URL(origin).host,
      act: { do: 'show-server' as const, origin },
    })),
    {
      id: 'sign-out',
      group: 'session',
      label: t('palette.signOut', {}, locale),
      detail: null,
      act: { do: 'sign-out' },
    },
  ];
  return [...requests, ...others.filter(found)];
}

function requestEntry({ userCode, user, command, host }: WaitingEntry, locale: Locale): PaletteEntry {
  const about = t('palette.request', { who: visibleText(user), host: visibleText(host.name) }, locale);
  return {
    id: `request ${userCode}`,
    group: 'requests',
    label: visibleText(command),
    detail: `${about} · ${userCode}`,
    act: { do: 'show-request', code: userCode },
  };
}
