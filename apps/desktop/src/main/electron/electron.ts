import { existsSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { app, powerMonitor, protocol, session } from 'electron';
import { xdgAutostart } from '../autostart.ts';
import { dbusNotifications } from '../dbus-notifications.ts';
import { DEEP_LINK_SCHEME } from '../deep-link.ts';
import { guardContents, guardSession } from '../guard-contents.ts';
import { keyringWouldHold } from '../keyring-probe.ts';
import { tlsCertificates } from '../pinned-http.ts';
import type { ShellPorts } from '../ports.ts';
import { switchAgainstSandbox, unwantedSwitches } from '../switches.ts';
import {
  electronDialogs,
  electronHttp,
  electronIpc,
  electronNotifier,
  electronOpener,
  electronProtocol,
  electronSecrets,
  giveUpKeyring,
} from './adapters.ts';
import { electronMenu } from './menu.ts';
import { electronTray } from './tray.ts';
import { electronWindows } from './windows.ts';

/** Name of the desktop file, which is what a desktop knows the program by. */
const APP_ID = 'org.identree.Console';

/** Does the program work with the folder where the person's servers and sessions are? */
function isPersonsFolder(): boolean {
  const real = (folder: string) => (existsSync(folder) ? realpathSync(folder) : resolve(folder));
  return real(app.getPath('userData')) === real(join(app.getPath('appData'), app.getName()));
}

/** Takes the single-instance lock and sets up what must be in place before Electron is ready. */
export function createElectron(options: { preloads: string }) {
  const given = process.argv.slice(1);
  const against = switchAgainstSandbox(given);
  if (against !== null) {
    console.error(`identree: ${against} is refused: it starts with Chromium's sandbox or not at all.`);
    process.exit(1);
  }
  for (const name of unwantedSwitches(given, isPersonsFolder())) app.commandLine.removeSwitch(name);
  const isFirstInstance = app.requestSingleInstanceLock();

  protocol.registerSchemesAsPrivileged([
    { scheme: 'app', privileges: { standard: true, secure: true, supportFetchAPI: true, stream: true } },
  ]);
  // Text and a few lines: what a graphics card would save is less than what its process costs.
  app.disableHardwareAcceleration();
  app.enableSandbox();
  app.on('web-contents-created', (_event, contents) => guardContents(contents));
  app.on('session-created', (created) => guardSession(created));
  // Whether it goes on without a window is the person's to say.
  app.on('window-all-closed', () => {});

  const notifications = dbusNotifications({
    address: process.platform === 'linux' ? process.env.DBUS_SESSION_BUS_ADDRESS : undefined,
    id: APP_ID,
    elapsed: () => performance.now(),
  });
  app.on('will-quit', notifications.end);

  const ports: ShellPorts = {
    windows: electronWindows(options.preloads),
    protocol: electronProtocol,
    ipc: electronIpc,
    opener: electronOpener,
    secrets: electronSecrets,
    http: electronHttp,
    certificates: tlsCertificates,
    notifier: electronNotifier,
    menu: electronMenu,
    tray: electronTray(join(options.preloads, 'tray')),
    notifications,
    dialogs: electronDialogs,
    autostart:
      process.platform === 'linux'
        ? xdgAutostart(
            app.getPath('appData'),
            APP_ID,
            app.isPackaged ? [process.execPath] : [process.execPath, app.getAppPath()],
          )
        : null,
    app: {
      quit: () => app.quit(),
      onResume: (listener) => void powerMonitor.on('resume', listener),
    },
    clock: { now: () => Date.now(), elapsed: () => performance.now() },
  };

  return {
    isFirstInstance,
    ports,
    folder: app.getPath('userData'),
    version: app.getVersion(),
    /** The language of the desktop, known once Electron is ready. */
    language: () => app.getLocale(),
    quit: () => app.exit(0),
    /** Ends at once, as one that could not do what it was started for. */
    fail: () => app.exit(1),
    /**
     * What has to be known before Electron is ready. It asks the keyring for the key of cookies on its way there, and waits
     * for it without a limit of ours.
     */
    async beforeReady() {
      if (process.platform !== 'linux') return;
      const { DBUS_SESSION_BUS_ADDRESS: address, XDG_CURRENT_DESKTOP, DESKTOP_SESSION } = process.env;
      // On a desktop that it does not know by its name Chromium asks none.
      const isStarted = !!(app.commandLine.getSwitchValue('password-store') || XDG_CURRENT_DESKTOP || DESKTOP_SESSION);
      if (await keyringWouldHold(address, { isStarted })) giveUpKeyring();
    },
    async ready() {
      await app.whenReady();
      guardSession(session.defaultSession);
      // On Linux the desktop file of the package says so, and the person may say otherwise. Electron would start programs for
      // it and wait for them, before there is a window and without a limit.
      if (app.isPackaged && process.platform !== 'linux') app.setAsDefaultProtocolClient(DEEP_LINK_SCHEME);
    },
    onSecondInstance: (listener: (argv: string[]) => void) => {
      app.on('second-instance', (_event, argv) => listener(argv));
    },
    onQuit: (listener: () => void) => void app.on('will-quit', listener),
    /** macOS hands links over by event. */
    onOpenUrl: (listener: (url: string) => void) => {
      app.on('open-url', (event, url) => {
        event.preventDefault();
        listener(url);
      });
    },
  };
}
