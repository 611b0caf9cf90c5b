import type { Colour } from '../colours.ts';
import type { Words } from '../words/catalogue.ts';
import type { ServerView } from './server-view.ts';

/**
 * Everything that a menu can have done. There is none that approves: that takes the person's passkey, on a page of the
 * server in their browser.
 */
export type MenuAction =
  | { do: 'show-server'; origin: string }
  /** Shows a request in the window. */
  | { do: 'review'; origin: string; code: string }
  | { do: 'raise' }
  | { do: 'pause' }
  | { do: 'resume' }
  | { do: 'toggle'; toggle: Toggle }
  | { do: 'add-server' }
  | { do: 'edit-server' }
  | { do: 'sign-out' }
  | { do: 'quit' };

/** What the person switches on and off in the menu. */
export type Toggle = 'background' | 'autostart' | 'hideCommand';

export interface MenuItem {
  label: string;
  action?: MenuAction;
  /** With a tick or without; undefined where there is nothing to tick. */
  chosen?: boolean;
  /** A dot of this colour before the label. */
  colour?: Colour;
  /** As Electron writes it: `Ctrl+1`. */
  shortcut?: string;
  disabled?: boolean;
}

export type MenuEntry = MenuItem | 'line';

/** What a window or a text field does by itself, in the order of the menu. */
export const ROLES = {
  edit: ['undo', 'redo', null, 'cut', 'copy', 'paste', 'selectAll'],
  view: ['reload', null, 'actualSize', 'zoomIn', 'zoomOut', null, 'fullScreen'],
} as const;

export type Role = NonNullable<(typeof ROLES)['edit' | 'view'][number]>;

/** The menus of the window: two of the shell's own, and the names of what every window has. */
export interface MenuModel {
  app: readonly MenuEntry[];
  servers: { label: string; entries: readonly MenuEntry[] };
  names: Record<Role | 'edit' | 'view', string>;
}

export function menuModel(
  words: Words,
  views: readonly ServerView[],
  active: string | null,
  toggles: readonly { toggle: Toggle; on: boolean }[],
): MenuModel {
  const inUse = views.some(({ profile }) => profile.origin === active);
  return {
    names: words.menu,
    app: [
      { label: words.menu.nameAndColour, action: { do: 'edit-server' }, disabled: !inUse },
      { label: words.menu.signOut, action: { do: 'sign-out' }, disabled: !inUse },
      'line',
      ...toggles.map(({ toggle, on }) => ({
        label: words.menu.toggles[toggle],
        chosen: on,
        action: { do: 'toggle' as const, toggle },
      })),
      'line',
      { label: words.menu.quit, action: { do: 'quit' }, shortcut: 'CmdOrCtrl+Q' },
    ],
    servers: {
      label: words.menu.servers,
      entries: [
        ...views.map((view, i) => ({
          ...serverItem(words, view),
          chosen: view.profile.origin === active,
          shortcut: `CmdOrCtrl+${i + 1}`,
        })),
        ...(views.length > 0 ? ['line' as const] : []),
        { label: words.menu.addServer, action: { do: 'add-server' } },
      ],
    },
  };
}

/** The line of one server, with what waits there. */
export function serverItem(words: Words, { profile, reach, pending }: ServerView): MenuItem {
  const { origin, name, colour } = profile;
  const action = { do: 'show-server' as const, origin };
  if (reach === 'signed_out') return { label: words.menu.signedOut(name), colour, action };
  // What waited when a server was lost may be settled by now: the number alone would be taken for what is so.
  const notes = [
    ...(pending.length > 0 ? [String(pending.length)] : []),
    ...(reach === 'live' || reach === 'connecting' ? [] : [words.offline[reach]]),
  ];
  return { label: notes.length > 0 ? words.menu.noted(name, notes) : name, colour, action };
}
