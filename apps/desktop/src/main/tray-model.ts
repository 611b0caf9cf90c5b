import type { Words } from '../words/catalogue.ts';
import { type MenuEntry, type MenuItem, serverItem } from './menu-model.ts';
import type { ServerView } from './server-view.ts';
import { shortened } from './shortened.ts';

/** What stands in the tray. */
export interface TrayModel {
  /** How many requests wait on all servers. */
  count: number;
  tooltip: string;
  entries: readonly MenuEntry[];
}

const NEWEST = 5;
const COMMAND_LENGTH = 60;

/** @param paused until when notifications are off, in words; null when they are on */
export function trayModel(words: Words, views: readonly ServerView[], paused: string | null): TrayModel {
  const many = views.length > 1;
  const requests = views
    .flatMap(({ profile, pending }) => pending.map((request) => ({ profile, request })))
    .sort((a, b) => b.request.createdAt - a.request.createdAt);
  const lost = views.filter(({ reach }) => !['live', 'connecting', 'signed_out'].includes(reach));
  const signedOut = views.filter(({ reach }) => reach === 'signed_out');
  // That nothing waits is known of a server that tells it.
  const isKnown = requests.length > 0 || views.some(({ reach }) => reach === 'live');
  const lines = [
    ...(isKnown ? [words.tray.waiting(requests.length)] : []),
    ...signedOut.map(({ profile }) => words.menu.signedOut(profile.name)),
    ...lost.map(({ profile }) => words.tray.notReached(profile.name)),
    ...(paused === null ? [] : [words.tray.pausedUntil(paused)]),
  ];
  return {
    count: requests.length,
    tooltip: lines.length === 0 ? 'identree' : `identree: ${lines.join(' · ')}`,
    entries: separated([
      [
        ...(requests.length === 0 && isKnown ? [{ label: words.tray.waiting(0) }] : []),
        ...requests.slice(0, NEWEST).map(({ profile, request }) => ({
          label: words.tray.request(
            request.who,
            shortened(request.command, COMMAND_LENGTH),
            many ? [request.host, profile.name] : [request.host],
          ),
          action: { do: 'review' as const, origin: profile.origin, code: request.code },
          ...(many ? { colour: profile.colour } : {}),
        })),
        ...(requests.length > NEWEST
          ? [{ label: words.tray.more(requests.length - NEWEST), action: { do: 'raise' as const } }]
          : []),
      ],
      // One that is reached needs no line of its own while it is the only one.
      many || views.some(({ reach }) => reach !== 'live') ? views.map((view) => serverItem(words, view)) : [],
      [
        { label: words.tray.open, action: { do: 'raise' } },
        paused === null
          ? { label: words.tray.pause, action: { do: 'pause' } }
          : { label: words.tray.resume, action: { do: 'resume' } },
      ],
      [{ label: words.menu.quit, action: { do: 'quit' } }],
    ]),
  };
}

/** With a line between the groups that have something in them. */
const separated = (groups: readonly (readonly MenuItem[])[]): MenuEntry[] =>
  groups.filter((group) => group.length > 0).flatMap<MenuEntry>((group, i) => (i === 0 ? group : ['line', ...group]));
