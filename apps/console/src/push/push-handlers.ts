import { type PushMessage, pathOf, readPush } from './push-message.ts';

/** What is kept with a notification: nothing that decides. */
type Kept = Pick<PushMessage, 'id' | 'path'>;

interface Shown {
  readonly data: unknown;
  close(): void;
}

interface Page {
  readonly url: string;
  focus(): Promise<unknown>;
}

/** What of a service worker is used. There is no `fetch` here, and its answer forbids it besides. */
export interface PushScope {
  readonly location: { readonly origin: string };
  readonly registration: {
    showNotification(title: string, options: object): Promise<void>;
    getNotifications(filter: { tag: string }): Promise<readonly Shown[]>;
  };
  readonly clients: {
    matchAll(filter: { type: 'window'; includeUncontrolled: true }): Promise<readonly Page[]>;
    openWindow(path: string): Promise<unknown>;
  };
}

/** Shows what came. One that comes again, or that the console has shown already, takes its place without a sound. */
export async function showPush(scope: PushScope, text: string | undefined): Promise<void> {
  const { id, title, body, tag, waits, takesBack, ...message } = readPush(text, scope.location.origin);
  const before = await scope.registration.getNotifications({ tag });
  if (takesBack && before.length === 0) return;
  // What became of it is on the page that the announcement led to.
  const path = takesBack ? pathAgain(before[0], scope.location.origin) : message.path;
  const isKnown = before.some(({ data }) => (data as Kept | null)?.id === id || (waits && pathKept(data) === path));
  await scope.registration.showNotification(title, {
    body,
    tag,
    data: { id, path } satisfies Kept,
    // What became of a request disturbs nobody a second time.
    renotify: waits && !isKnown,
    silent: takesBack,
    // No buttons: what is pressed here may be pressed by whoever holds the locked phone.
    actions: [],
  });
}

/** Where a notification leads, judged again as if it had just come: another script of this origin may have written it. */
function pathAgain(shown: Shown | undefined, origin: string): string {
  const kept = pathKept(shown?.data);
  return pathOf(typeof kept === 'string' ? origin + kept : null, origin);
}

const pathKept = (data: unknown): unknown => (data as Kept | null)?.path;

/** A click leads to a page. It is read again as if it had just come: nothing but a page of a request opens. */
export async function openPush(scope: PushScope, notification: Shown): Promise<void> {
  notification.close();
  const { origin } = scope.location;
  const path = pathAgain(notification, origin);
  const pages = await scope.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const open = pages.find(({ url }) => url === origin + path);
  if (open) await open.focus();
  else await scope.clients.openWindow(path);
}
