import { useState } from 'react';
import type { FeedEvent } from '#shared/events.ts';
import { desktop } from './bridge.ts';
import { tagOfCode } from './push/push-message.ts';
import { client } from './server/api.ts';
import { atMostEvery } from './server/at-most.ts';

export type NotifyState = 'unsupported' | 'ask' | 'on' | 'blocked';

function stateNow(): NotifyState {
  // Pages of the desktop app have no permission to notify; its window is the inbox itself.
  if (desktop || typeof Notification !== 'function') return 'unsupported';
  return Notification.permission === 'granted' ? 'on' : Notification.permission === 'denied' ? 'blocked' : 'ask';
}

/** Whether this browser tells about new requests, and how to ask for the permission. */
export function useNotifications(): [NotifyState, () => void] {
  const [state, setState] = useState(stateNow);
  return [state, () => void Notification.requestPermission().then(() => setState(stateNow()))];
}

/** Within this time a further request of the same account on the same host looks like a repeat, milliseconds. */
const REPEAT_MS = 60_000;
const lately = new Map<string, { tag: string; at: number }>();

/** What looks like a repeat takes the place of the notification before it. It stays a request of its own. */
function tagOf(event: FeedEvent, code: string): string {
  const who = `${event.username} ${event.hostname}`;
  const before = lately.get(who);
  const now = Date.now();
  const tag = before && now - before.at < REPEAT_MS ? before.tag : code;
  lately.set(who, { tag, at: now });
  return tag;
}

/** What is shown now, by the code of the request that it is about. */
const shown = new Map<string, { tag: string; close(): void }>();

/** The service worker, where this browser is pushed to as well: what it shows and what is shown here is one and the same. */
async function pushed(): Promise<ServiceWorkerRegistration | null> {
  const registration = await navigator.serviceWorker?.getRegistration('/');
  return (await registration?.pushManager.getSubscription()) ? registration! : null;
}

/** The text names nobody's command: it may be read on a locked screen. Nothing in it decides; a click leads to the page. */
async function show(event: FeedEvent, code: string): Promise<void> {
  const title = `${event.username} on ${event.hostname ?? 'a host'} waits for an answer`;
  const body = `Code ${code}`;
  const path = `/approve/${code}`;
  const worker = await pushed();
  if (worker) {
    await worker.showNotification(title, { body, tag: await tagOfCode(code), data: { id: '', path } });
    return;
  }
  const tag = tagOf(event, code);
  const notification = new Notification(title, { body, tag, icon: new URL('./icon.svg', import.meta.url).href });
  notification.onclick = () => {
    focus();
    notification.close();
    location.assign(path);
  };
  // A repeat has taken the place of the one before it, which is not to be taken back any more.
  for (const [other, one] of shown) if (one.tag === tag) shown.delete(other);
  shown.set(code, { tag, close: () => notification.close() });
}

let waiting: FeedEvent[] = [];
/** What was over while the server was asked about it: it is not told any more. */
const over = new Set<string>();
const MOST_REMEMBERED = 1000;
/** As many as the server answers about at a time. */
const MOST_ASKED_OF = 100;

/** Whom the server would not tell is not told here either. Where it does not answer, telling is the lesser evil. */
async function wanted(events: readonly FeedEvent[]): Promise<readonly FeedEvent[]> {
  const ids = events.flatMap(({ challengeId }) => challengeId ?? []).slice(0, MOST_ASKED_OF);
  try {
    const told = new Set((await client.notify.onScreen.query({ ids })).ids);
    return events.filter(({ challengeId }) => challengeId !== null && told.has(challengeId));
  } catch {
    return events;
  }
}

const tell = atMostEvery<'waiting'>(1000, () => {
  const events = waiting;
  waiting = [];
  void (async () => {
    for (const event of await wanted(events)) if (!over.has(event.challengeId!)) await show(event, event.code!);
  })().catch(() => {
    // Android allows notifications from service workers only; the inbox is live anyway.
  });
});

/** Tells that somebody waits, by what the person has chosen for all notifications. */
export function announceRequest(event: FeedEvent): void {
  if (stateNow() !== 'on' || !event.code || event.challengeId === null) return;
  waiting.push(event);
  tell('waiting');
}

/** Takes back what was told of a request that does not wait any more, also what the service worker has shown. */
export function withdrawRequest({ code, challengeId }: Pick<FeedEvent, 'code' | 'challengeId'>): void {
  if (stateNow() !== 'on' || !code || challengeId === null) return;
  over.add(challengeId);
  if (over.size > MOST_REMEMBERED) over.delete(over.values().next().value!);
  waiting = waiting.filter((event) => event.challengeId !== challengeId);
  shown.get(code)?.close();
  shown.delete(code);
  void (async () => {
    const registration = await navigator.serviceWorker?.getRegistration('/');
    for (const one of (await registration?.getNotifications({ tag: await tagOfCode(code) })) ?? []) one.close();
  })().catch(() => {
    // It goes when it is clicked, or when the next message about the request comes.
  });
}
