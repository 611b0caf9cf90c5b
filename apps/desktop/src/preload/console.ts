import { contextBridge, ipcRenderer, webFrame } from 'electron';
import { CHANNELS, FACTS_ARGUMENT } from '../channels.ts';

interface Facts {
  version: string;
  platform: string;
  origin: string;
  /** CSS colour of the server; null when there is only one server to look at. */
  colour: string | null;
}

const argument = process.argv.find((text) => text.startsWith(FACTS_ARGUMENT)) ?? '';
const facts = JSON.parse(decodeURIComponent(argument.slice(FACTS_ARGUMENT.length)) || '{}') as Facts;

// Which server this is must be seen before anything is decided, whatever the page shows.
if (facts.colour && /^#[0-9a-f]{6}$/.test(facts.colour)) {
  webFrame.insertCSS(
    `html::before{content:"";position:fixed;inset:0 0 auto;height:4px;background:${facts.colour};z-index:2147483647;pointer-events:none}`,
  );
}

/**
 * A link from outside, a timer or injected script must not open a browser or change the server under the person's hands:
 * only their click or key does.
 */
const byPerson = () => navigator.userActivation.isActive;

let listener: ((link: unknown) => void) | null = null;
ipcRenderer.on(CHANNELS.deepLink, (_event, link) => listener?.(link));

/** Why the server is not reached; null while it is. */
let unreached: string | null = null;
const reachListeners = new Set<(why: string | null) => void>();
const setUnreached = (why: unknown) => {
  unreached = typeof why === 'string' ? why : null;
  for (const one of reachListeners) one(unreached);
};
ipcRenderer.on(CHANNELS.reach, (_event, why) => setUnreached(why));
void ipcRenderer.invoke(CHANNELS.reachWanted).then(setUnreached, () => {});

contextBridge.exposeInMainWorld('identreeDesktop', {
  platform: facts.platform,
  version: facts.version,
  /** The server that this window works with. */
  profile: () => ({ origin: facts.origin }),
  /** Opens the approval page of this request in the system browser. */
  openApproval: (code: unknown) => {
    if (byPerson()) void ipcRenderer.invoke(CHANNELS.openApproval, code).catch(() => {});
  },
  /** Leaves the console for the sign-in page of this window. */
  signIn: () => ipcRenderer.invoke(CHANNELS.signIn),
  /** Ends the session on the server and in this window. */
  signOut: () => ipcRenderer.invoke(CHANNELS.signOut),
  /** The person's servers but this one, as the menu names them. */
  otherServers: () => ipcRenderer.invoke(CHANNELS.otherServers),
  /** Leaves this server for another one of the person's. */
  showServer: (origin: unknown) => {
    if (byPerson()) void ipcRenderer.invoke(CHANNELS.showServer, origin).catch(() => {});
  },
  /** Tells why the server is not reached, in words; null while it is. */
  onReach: (callback: (why: string | null) => void) => {
    reachListeners.add(callback);
    callback(unreached);
    return () => void reachListeners.delete(callback);
  },
  /** Tells of links that the person followed elsewhere; the latest one that waited comes at once. */
  onDeepLink: (callback: (link: unknown) => void) => {
    listener = callback;
    void ipcRenderer.invoke(CHANNELS.linksWanted).catch(() => {});
    return () => {
      if (listener === callback) listener = null;
    };
  },
});
