import { openPush, type PushScope, showPush } from './push-handlers.ts';

/**
 * The service worker of the console. It shows what is pushed and opens pages, and does nothing else: it answers no request
 * of a page, keeps nothing, and cannot ask the server for anything.
 */

interface Lasting extends Event {
  waitUntil(work: Promise<unknown>): void;
}
type Worker = PushScope & {
  skipWaiting(): Promise<void>;
  addEventListener(type: 'install', listener: (event: Lasting) => void): void;
  addEventListener(type: 'push', listener: (event: Lasting & { data: { text(): string } | null }) => void): void;
  addEventListener(
    type: 'notificationclick',
    listener: (event: Lasting & { notification: Notification }) => void,
  ): void;
};

const worker = self as unknown as Worker;

worker.addEventListener('install', (event) => event.waitUntil(worker.skipWaiting()));
worker.addEventListener('push', (event) => event.waitUntil(showPush(worker, event.data?.text())));
worker.addEventListener('notificationclick', (event) => event.waitUntil(openPush(worker, event.notification)));
