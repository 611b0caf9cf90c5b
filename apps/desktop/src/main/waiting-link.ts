import { CHANNELS } from '../channels.ts';
import type { DeepLink } from './deep-link.ts';
import type { Window } from './window.ts';

/** The latest link that was followed, until the console of its server listens for it. */
export function createWaitingLink(window: Window) {
  let waiting: { origin: string | null; link: DeepLink } | null = null;
  return {
    /** @param origin of the server that it is about; null for whichever is shown */
    keep(origin: string | null, link: DeepLink): void {
      waiting = { origin, link };
    },
    /** @param shown origin of the server that the window is about */
    deliver(shown: string | undefined): void {
      if (!waiting || !window.isListening() || window.kind() !== 'console') return;
      if (waiting.origin !== null && waiting.origin !== shown) return;
      window.send(CHANNELS.deepLink, waiting.link);
      waiting = null;
    },
  };
}
