import type { Words } from '../words/catalogue.ts';
import { type MenuEntry, serverItem } from './menu-model.ts';
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
  const lines = [
    words.tray.waiting(requests.length),
    ...lost.map(({ profile }) => words.tray.notReached(profile.name)),
    ...(paused === null ? [] : [words.tray.pausedUntil(paused)]),
  ];
  return {
    count: requests.length,
    tooltip: `identree: ${lines.join(' · ')}`,
    entries: [
      ...(requests.length === 0 ? [{ label: words.tray.waiting(0) }] : []),
      ...requests.slice(0, NEWEST).map(({ profile, request }) => ({
        label: words.tray.request(request.who, shortened(request.command, COMMAND_LENGTH), request.host),
        action: { do: 'review' as const, origin: profile.origin, code: request.code },
        ...(many ? { colour: profile.colour } : {}),
      })),
      ...(requests.length > NEWEST
        ? [{ label: words.tray.more(requests.length - NEWEST), action: { do: 'raise' as const } }]
        : []),
      'line',
      ...(many ? [...views.map((view) => serverItem(words, view)), 'line' as const] : []),
      { label: words.tray.open, action: { do: 'raise' } },
      paused === null
        ? { label: words.tray.pause, action: { do: 'pause' } }
        : { label: words.tray.resume, action: { do: 'resume' } },
      'line',
      { label: words.menu.quit, action: { do: 'quit' } },
    ],
  };
}
