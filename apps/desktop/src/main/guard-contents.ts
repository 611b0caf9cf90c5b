// Electron types each event apart; the guard treats them all alike.
// biome-ignore lint/suspicious/noExplicitAny: the overloads of Electron have no other common form
type OnEvent = (event: any, listener: (event: { preventDefault(): void }) => void) => unknown;

/** The part of Electron's WebContents that the guard needs. */
export interface GuardedContents {
  on: OnEvent;
  setWindowOpenHandler(handler: () => { action: 'deny' }): void;
}

/**
 * Keeps a window on the page that the main process put there. The console is one page and changes its address by
 * itself; every other way to go somewhere (a link, a redirect, a frame, `window.open`, a dropped file, a webview) ends
 * here, because whatever got loaded would have the shell's bridge.
 */
export function guardContents(contents: GuardedContents): void {
  for (const event of ['will-navigate', 'will-frame-navigate', 'will-redirect', 'will-attach-webview']) {
    contents.on(event, (detail) => detail.preventDefault());
  }
  contents.setWindowOpenHandler(() => ({ action: 'deny' }));
}

/** The part of Electron's Session that decides on permissions. */
export interface GuardedSession {
  setPermissionRequestHandler(
    handler: (contents: unknown, permission: string, done: (ok: boolean) => void) => void,
  ): void;
  setPermissionCheckHandler(handler: () => boolean): void;
  setDevicePermissionHandler(handler: () => boolean): void;
  setDisplayMediaRequestHandler(handler: ((request: unknown, done: (streams: object) => void) => void) | null): void;
  on: OnEvent;
}

/** Denies every permission, asked for or only looked up: Electron grants them unless told otherwise. No downloads. */
export function guardSession(session: GuardedSession): void {
  session.setPermissionRequestHandler((_contents, _permission, done) => done(false));
  session.setPermissionCheckHandler(() => false);
  session.setDevicePermissionHandler(() => false);
  session.setDisplayMediaRequestHandler(null);
  for (const event of ['will-download', 'select-hid-device', 'select-serial-port', 'select-usb-device']) {
    session.on(event, (detail) => detail.preventDefault());
  }
}

/** What every window of the shell runs with. Stated in full, so that no changed default can weaken it. */
export const WEB_PREFERENCES = {
  sandbox: true,
  contextIsolation: true,
  nodeIntegration: false,
  nodeIntegrationInWorker: false,
  nodeIntegrationInSubFrames: false,
  webSecurity: true,
  allowRunningInsecureContent: false,
  experimentalFeatures: false,
  webviewTag: false,
  navigateOnDragDrop: false,
  safeDialogs: true,
  spellcheck: false,
  enableWebSQL: false,
  devTools: false,
} as const;
