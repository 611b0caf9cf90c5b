import { useSyncExternalStore } from 'react';

/** A link that the person followed outside the desktop app. */
export interface DeepLink {
  kind: 'approve';
  code: string;
}

/** What the desktop app adds to the console; the preload script of apps/desktop provides it. */
export interface DesktopBridge {
  platform: string;
  version: string;
  /** The server that this window works with. */
  profile(): { origin: string };
  /** Opens the approval page of a request in the system browser. Works only on a click or key of the person. */
  openApproval(code: string): void;
  /** Leaves the console for the sign-in page of this window. */
  signIn(): Promise<void>;
  signOut(): Promise<void>;
  /** The person's servers but this one, as the menu names them, in the language of the page. */
  otherServers(): Promise<readonly { origin: string; label: string }[]>;
  /** Leaves this server for another one of the person's. Works only on a click or key of the person. */
  showServer(origin: string): void;
  /** Tells why the server is not reached, in words for the person; null while it is. Returns how to stop. */
  onReach(callback: (why: string | null) => void): () => void;
  /** Tells of links; the latest one that waited comes at once. Returns how to stop. */
  onDeepLink(callback: (link: DeepLink) => void): () => void;
}

declare global {
  interface Window {
    identreeDesktop?: DesktopBridge;
  }
}

/** The bridge; undefined in a browser. */
export const desktop: DesktopBridge | undefined = window.identreeDesktop;

let unreached: string | null = null;

function followReach(changed: () => void): () => void {
  const stop = desktop?.onReach((why) => {
    unreached = why;
    changed();
  });
  return stop ?? (() => {});
}

/**
 * Why the desktop app does not reach the server, in words for the person; null while it does, and in browsers, which
 * do not tell. Nothing is decided meanwhile: what is shown may be settled already.
 */
export function useUnreached(): string | null {
  return useSyncExternalStore(followReach, () => unreached);
}
