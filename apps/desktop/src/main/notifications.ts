import { timeLeft } from '#shared/messages.ts';
import type { Words } from '../words/catalogue.ts';
import { languageOf } from '../words/words.ts';
import type { PendingRequest } from './pending.ts';
import type { NotificationsPort } from './ports.ts';
import type { ServerView } from './server-view.ts';
import { shortened } from './shortened.ts';

/** More than this at a time become one that tells how many. */
const MOST = 3;
const COMMAND_LENGTH = 120;
/** How long a desktop that refused is left alone, milliseconds; longer than until it is asked anew. */
const AGAIN_MS = 35_000;

/**
 * What a click in a notification can bring about. There is none that approves, and none that opens a browser: a
 * notification can be sent, pressed and faked by every program of the person.
 */
export interface NotificationActs {
  review(origin: string, code: string): void;
  /** Brings the window up. */
  raise(): void;
  /** @returns whether it was denied; null when no answer came. */
  deny(origin: string, id: string): Promise<boolean | null>;
}

interface Told {
  origin: string;
  request: PendingRequest;
  /** The desktop's number of the notification; null when none is shown for it. */
  shown: number | null;
  /** The person is to hear of it, and the desktop has not shown it so far. */
  isDue: boolean;
  /** What is shown says what would run. */
  saysCommand: boolean;
  /** Deny was pressed, and the server has not answered yet. */
  isBeingDenied?: boolean;
}

/** Tells of each request once, as soon as there is a desktop that shows it, and takes back what is settled. */
export function createNotifications(deps: {
  port: NotificationsPort;
  words: Words;
  language: string;
  now: () => number;
  isPaused: () => boolean;
  hidesCommand: () => boolean;
  acts: NotificationActs;
}) {
  const { port, words, acts } = deps;
  /** By origin and id. */
  const told = new Map<string, Told>();
  /** The one notification that stands for many. */
  let folded: { shown: number; count: number } | null = null;
  let waiting: readonly ServerView[] | null = null;
  let running = false;
  let again: NodeJS.Timeout | undefined;

  /** One that the desktop does not know any more is as good as taken back. */
  const close = (number: number) => port.close(number).catch(() => {});

  port.onAction((number, key) => {
    if (folded?.shown === number) return acts.raise();
    const one = [...told.values()].find(({ shown }) => shown === number);
    if (!one) return;
    if (key === 'deny') void deny(one);
    else if (key === 'review' || key === 'default') acts.review(one.origin, one.request.code);
  });
  port.onClosed((number) => {
    if (folded?.shown === number) folded = { ...folded, shown: 0 };
    for (const one of told.values()) if (one.shown === number) one.shown = null;
  });

  async function deny(one: Told): Promise<void> {
    const { origin, request } = one;
    // Pressed twice it is denied once, and the person is not told that the second one failed.
    if (one.isBeingDenied) return;
    one.isBeingDenied = true;
    const isDenied = await acts.deny(origin, request.id).catch(() => null);
    one.isBeingDenied = false;
    if (isDenied) return;
    await port
      .show({
        replaces: 0,
        title: words.notification[isDenied === null ? 'maybeDenied' : 'notDenied'](request.code),
        body: '',
        actions: [],
        timeoutMs: 30_000,
      })
      .catch(() => 0);
  }

  async function tell(views: readonly ServerView[]): Promise<void> {
    const pending = new Map<string, { profile: ServerView['profile']; request: PendingRequest }>(
      views.flatMap(({ profile, pending: requests }) =>
        requests
          .filter(({ isTold }) => isTold)
          .map((request) => [`${profile.origin} ${request.id}`, { profile, request }] as const),
      ),
    );
    for (const [key, one] of told) {
      // A server that is not heard of has settled nothing; its requests are still in the view until their time is over.
      if (pending.has(key)) continue;
      told.delete(key);
      if (one.shown !== null) await close(one.shown);
    }
    for (const [key, { profile, request }] of pending) {
      if (told.has(key)) continue;
      const { origin } = profile;
      told.set(key, { origin, request, shown: null, isDue: !deps.isPaused(), saysCommand: false });
    }
    const all = [...told.values()];
    const telling = all.filter(({ shown, saysCommand }) => shown !== null && saysCommand);
    // Before anything else: the screen may be locked by now.
    if (deps.hidesCommand()) await showEach(telling, views);
    await foldOrShow(pending.size, deps.isPaused() ? [] : all.filter(({ isDue }) => isDue), views);
  }

  async function foldOrShow(count: number, due: readonly Told[], views: readonly ServerView[]): Promise<void> {
    if (folded && count === 0) {
      const { shown } = folded;
      folded = null;
      if (shown) await close(shown);
    }
    const open = [...told.values()].filter(({ shown }) => shown !== null);
    if (!folded && open.length + due.length <= MOST) return showEach(due, views);
    // One that the person has put away comes back for a new request only.
    if (due.length === 0 && (!folded?.shown || folded.count === count)) return;
    for (const one of open) {
      const number = one.shown!;
      Object.assign(one, { shown: null, isDue: true });
      await close(number);
    }
    const title = words.tray.waiting(count);
    const shown = await port.show({
      replaces: folded?.shown ?? 0,
      title,
      body: '',
      actions: [['default', words.notification.review]],
      timeoutMs: 0,
    });
    folded = { shown, count };
    for (const one of told.values()) one.isDue = false;
  }

  /** @throws what the desktop said to the first that it did not show; the others are shown all the same */
  async function showEach(some: readonly Told[], views: readonly ServerView[]): Promise<void> {
    const refusals: unknown[] = [];
    for (const one of some) await showOne(one, views).catch((error: unknown) => refusals.push(error));
    if (refusals.length > 0) throw refusals[0];
  }

  /** Shows it, in the place of what is shown of it by now. */
  async function showOne(one: Told, views: readonly ServerView[]): Promise<void> {
    const { request, origin } = one;
    const left = request.expiresAt - deps.now();
    const name = views.length > 1 ? views.find(({ profile }) => profile.origin === origin)?.profile.name : undefined;
    const until = words.notification.left(timeLeft(left, languageOf(deps.language)));
    const saysCommand = !deps.hidesCommand();
    const lines = [
      ...(!saysCommand ? [] : [shortened(request.command, COMMAND_LENGTH)]),
      name === undefined ? until : `${until} · ${name}`,
    ];
    one.shown = await port.show({
      replaces: one.shown ?? 0,
      title: words.notification.asks(shortened(request.who, 64), shortened(request.host, 64)),
      body: lines.join('\n'),
      actions: [
        ['default', words.notification.review],
        ['review', words.notification.review],
        ...(request.canDeny ? [['deny', words.notification.deny] as [string, string]] : []),
      ],
      timeoutMs: Math.max(1000, left),
    });
    Object.assign(one, { isDue: false, saysCommand });
  }

  async function update(views: readonly ServerView[]): Promise<void> {
    waiting = views;
    if (running) return;
    running = true;
    try {
      while (waiting) {
        clearTimeout(again);
        const next: readonly ServerView[] = waiting;
        waiting = null;
        // A desktop without notifications is no reason to stop; the tray and the window tell the same. One that has
        // none yet, as at login, or none while it starts anew, is told again: the person would hear of it never.
        await tell(next).catch(() => {
          again = setTimeout(() => void update(next), AGAIN_MS).unref();
        });
      }
    } finally {
      running = false;
    }
  }

  return {
    /** What waits now. Changes that come while the desktop is being told are told together afterwards. */
    update,
  };
}
