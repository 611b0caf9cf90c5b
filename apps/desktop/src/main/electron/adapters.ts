import { readFile, stat } from 'node:fs/promises';
import { app, dialog, ipcMain, safeStorage, session, shell } from 'electron';
import { externalUrl, mayOpenExternally } from '../external-link.ts';
import { keychain } from '../keychain.ts';
import type { DialogsPort, HttpPort, IpcPort, NotifierPort, OpenerPort, ProtocolPort, SecretsPort } from '../ports.ts';

/** Serves `app://` in a partition, and keeps the pages of that partition from any other network. */
export const electronProtocol: ProtocolPort = {
  serve(partition, handler) {
    const target = session.fromPartition(partition);
    if (target.protocol.isProtocolHandled('app')) target.protocol.unhandle('app');
    target.protocol.handle('app', handler);
    // The CSP already says so; this holds for what a CSP does not cover, such as prefetching.
    target.webRequest.onBeforeRequest((details, done) => done({ cancel: !/^(app|data|blob):/.test(details.url) }));
  },
  forget(partition) {
    const target = session.fromPartition(partition);
    void Promise.all([target.clearStorageData(), target.clearCache()]).catch(() => {});
  },
};

export const electronIpc: IpcPort = {
  handle(channel, listener) {
    ipcMain.handle(channel, (event, ...args) => {
      const frame = event.senderFrame;
      return listener(
        {
          windowId: event.sender.id,
          frame: frame && { url: frame.url, isMain: frame.parent === null && frame === event.sender.mainFrame },
        },
        args,
      );
    });
  },
};

export const electronOpener: OpenerPort = {
  async open(origin, link) {
    const url = externalUrl(origin, link);
    if (!mayOpenExternally(url, origin)) return false;
    try {
      await shell.openExternal(url);
      return true;
    } catch {
      return false;
    }
  },
};

let isKeyringGivenUp = false;

/**
 * Has Chromium ask no keyring: one that says nothing would hold the program up for as long as its calls wait. Only before
 * Electron is ready.
 */
export function giveUpKeyring(): void {
  isKeyringGivenUp = true;
  app.commandLine.appendSwitch('password-store', 'basic');
}

export const electronSecrets: SecretsPort = keychain(safeStorage, process.platform, () => isKeyringGivenUp);

/**
 * The system's proxy settings and certificate store, without cookies, cache and client certificates (Electron ends a
 * connection on which one is asked for). In a session of its own: what the pages do cannot colour it.
 */
export const electronHttp: HttpPort = {
  fetch: (url, init) =>
    session.fromPartition('shell-http', { cache: false }).fetch(url, {
      ...init,
      credentials: 'omit',
      cache: 'no-store',
      redirect: 'manual',
      bypassCustomProtocolHandlers: true,
    }) as Promise<Response>,
};

export const electronNotifier: NotifierPort = {
  // Not showErrorBox: all else, what waits on the servers too, would stand still until somebody has clicked it away.
  error: async (title, text) => {
    await dialog.showMessageBox({ type: 'error', title: 'identree', message: title, detail: text });
  },
};

/** Bytes. A certificate has a few thousand. */
const MOST_OF_A_FILE = 64 * 1024;

export const electronDialogs: DialogsPort = {
  async ask({ question, detail, yes, no, usual }) {
    const answer = await dialog.showMessageBox({
      type: 'question',
      title: 'identree',
      message: question,
      detail,
      buttons: [yes, no],
      defaultId: usual === 'yes' ? 0 : 1,
      cancelId: 1,
      noLink: true,
    });
    return answer.response === 0;
  },
  async openFile({ title, kind, extensions }) {
    const filters = [{ name: kind, extensions: [...extensions] }];
    const { filePaths } = await dialog.showOpenDialog({ title, filters, properties: ['openFile'] });
    try {
      const [path] = filePaths;
      if (path === undefined || (await stat(path)).size > MOST_OF_A_FILE) return null;
      return await readFile(path, 'utf8');
    } catch {
      return null;
    }
  },
};
