import { useState } from 'react';
import type { FeedEvent } from '#shared/events.ts';
import { desktop } from './bridge.ts';

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

/** Tells that somebody waits. The text names nobody's command: it may be read on a locked screen. */
export function announceRequest(event: FeedEvent): void {
  if (stateNow() !== 'on' || !event.code) return;
  try {
    const notification = new Notification(`${event.username} on ${event.hostname ?? 'a host'} waits for an answer`, {
      body: `Code ${event.code}`,
      tag: tagOf(event, event.code),
      icon: new URL('./icon.svg', import.meta.url).href,
    });
    notification.onclick = () => {
      focus();
      notification.close();
      location.assign(`/approve/${event.code}`);
    };
  } catch {
    // Android allows notifications from service workers only; the inbox is live anyway.
  }
}
