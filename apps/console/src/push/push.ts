import { desktop } from '../bridge.ts';
import { browserClient } from '../server/api.ts';

/** How this browser stands to being pushed to; `other`: nothing is known yet. */
export type PushSupport = 'unsupported' | 'blocked' | 'possible';

/** Whether this browser could be told while no page of the console is open. */
export function pushSupport(): PushSupport {
  const can =
    !desktop && isSecureContext && 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window;
  if (!can) return 'unsupported';
  return Notification.permission === 'denied' ? 'blocked' : 'possible';
}

/** Which channel this browser was made, so that it can be ended when the permission is gone and nothing else tells. */
const KEPT = 'identree.push-channel';

const hex = (bytes: ArrayBuffer): string =>
  [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');

function browserName(agent: string): string {
  const known: [RegExp, string][] = [
    [/Edg\//, 'edge'],
    [/Firefox\//, 'firefox'],
    [/Chrom(e|ium)\//, 'chrome'],
    [/Safari\//, 'safari'],
  ];
  return known.find(([pattern]) => pattern.test(agent))?.[1] ?? 'browser';
}

/** The channel of a subscription: its name follows from the address, which the server does not show to anybody. */
export async function channelOf({ endpoint }: Pick<PushSubscription, 'endpoint'>): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(endpoint));
  return `${browserName(navigator.userAgent)}-${hex(digest).slice(0, 12)}`;
}

async function subscription(): Promise<PushSubscription | null> {
  if (pushSupport() === 'unsupported') return null;
  const registration = await navigator.serviceWorker.getRegistration('/');
  return (await registration?.pushManager.getSubscription()) ?? null;
}

/** The channel of this browser; null: it is subscribed to nothing. */
export async function channelHere(): Promise<string | null> {
  const found = await subscription();
  return found === null || Notification.permission !== 'granted' ? null : channelOf(found);
}

/** What came of switching it on. */
export type Subscribed = { ok: true; channel: string } | { ok: false; problem: string };

/** Asks for the permission, and has this server push to this browser. @throws when the server refuses or is not reached */
export async function subscribe(locale: string): Promise<Subscribed> {
  if ((await Notification.requestPermission()) !== 'granted')
    return { ok: false, problem: 'This browser does not allow notifications of this site.' };
  const { key } = await browserClient.notify.pushKey.query();
  await navigator.serviceWorker.register('/push-worker.js', { scope: '/', updateViaCache: 'none' });
  const { pushManager } = await navigator.serviceWorker.ready;
  // An earlier one may be another person's, or of a key that this server no longer has.
  await (await pushManager.getSubscription())?.unsubscribe();
  let made: PushSubscription;
  try {
    made = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  } catch {
    return { ok: false, problem: 'This browser did not get an address from its push service. Try again later.' };
  }
  const { p256dh, auth } = made.toJSON().keys ?? {};
  const channel = await channelOf(made);
  try {
    const settings = { endpoint: made.endpoint, p256dh, auth, locale };
    const added = await browserClient.notify.channels.add.mutate({
      ...{ name: channel, kind: 'web_push', personal: true },
      settings,
    });
    if (!added.ok) {
      await made.unsubscribe();
      return { ok: false, problem: added.problem };
    }
  } catch (error) {
    await made.unsubscribe();
    throw error;
  }
  localStorage.setItem(KEPT, channel);
  return { ok: true, channel };
}

/** Ends it on the side of the browser: no message is taken any more, whoever sends it. */
export async function endHere(): Promise<void> {
  localStorage.removeItem(KEPT);
  await (await subscription())?.unsubscribe();
}

/** Ends it on both sides: who leaves this browser is not told in it, and whoever comes next does not read along. */
export async function leaveHere(): Promise<void> {
  const channel = (await channelHere()) ?? localStorage.getItem(KEPT);
  if (channel === null) return;
  // The browser's side first: with that nothing arrives any more, and the server notices with the next message.
  await endHere();
  await browserClient.notify.channels.remove.mutate({ name: channel });
}

/**
 * The channel that this browser was and is no more, because its permission was taken away or its subscription ended; null:
 * none. It is to be removed: otherwise a server would push to where nobody is told.
 */
export async function channelGone(): Promise<string | null> {
  const kept = localStorage.getItem(KEPT);
  if (kept === null || kept === (await channelHere())) return null;
  return kept;
}
