import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { wordsFor } from '../words/words.ts';
import { BACKGROUND_ARGUMENT } from './autostart.ts';
import { createCredentialStore } from './credential-store.ts';
import { deepLinkInArguments, parseDeepLink } from './deep-link.ts';
import { createElectron } from './electron/electron.ts';
import { readFiles } from './page-files.ts';
import { boundsFile, profileFile } from './profile.ts';
import { settingsFile } from './settings.ts';
import { createShell } from './shell.ts';

// First of all: a second process must not touch the files, the keychain or the ports of the first.
const electron = createElectron({ preloads: import.meta.dirname });

/** Awaited by `start.mjs`: Electron goes on from there only. */
export const beforeReady = electron.isFirstInstance ? electron.beforeReady() : Promise.resolve();

if (!electron.isFirstInstance) {
  electron.quit();
} else {
  const firstLink = deepLinkInArguments(process.argv);
  const start = async (): Promise<void> => {
    await electron.ready();
    const { ports, folder } = electron;
    const shell = createShell({
      ports,
      profiles: profileFile(folder),
      bounds: boundsFile(folder),
      settings: settingsFile(folder),
      credentials: createCredentialStore({ folder, secrets: ports.secrets, clock: ports.clock }),
      files: {
        console: readFiles(join(import.meta.dirname, 'console')),
        setup: readFiles(join(import.meta.dirname, 'setup')),
      },
      random: randomBytes,
      language: electron.language(),
      version: electron.version,
      platform: process.platform,
    });
    electron.onSecondInstance((argv) => {
      const link = deepLinkInArguments(argv);
      if (!link && argv.includes(BACKGROUND_ARGUMENT)) return;
      return link ? shell.follow(link) : shell.raise();
    });
    electron.onQuit(shell.stop);
    electron.onOpenUrl((url) => {
      const link = parseDeepLink(url);
      return link ? shell.follow(link) : shell.raise();
    });
    await shell.start(process.argv.includes(BACKGROUND_ARGUMENT));
    if (firstLink) shell.follow(firstLink);
  };
  // Left alone it would be there without a window, and keep every further start from having one.
  start().catch((error: unknown) => {
    console.error(error);
    const [title = '', text = ''] = wordsFor(electron.language()).errors.notStarted;
    void electron.ports.notifier.error(title, text).finally(electron.fail);
  });
}
