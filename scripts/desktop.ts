import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildDesktop } from './build-desktop.ts';

const root = join(import.meta.dirname, '..');

/** The Electron to start: one that the person names, else the one that the electron package has downloaded. */
function electronExecutable(): string | null {
  const named = process.env.ELECTRON_OVERRIDE_DIST_PATH;
  const folder = named ?? join(root, 'node_modules/electron/dist');
  const pathFile = join(root, 'node_modules/electron/path.txt');
  const name = !named && existsSync(pathFile) ? readFileSync(pathFile, 'utf8').trim() : PLATFORM_NAME;
  const executable = join(folder, name);
  return existsSync(executable) ? executable : null;
}

const PLATFORM_NAME =
  process.platform === 'darwin'
    ? 'Electron.app/Contents/MacOS/Electron'
    : process.platform === 'win32'
      ? 'electron.exe'
      : 'electron';

const executable = electronExecutable();
if (!executable) {
  console.error(
    [
      'identree: there is no Electron to start the desktop console with. Either',
      '  npx install-electron                               downloads the official one, or',
      '  ELECTRON_OVERRIDE_DIST_PATH=/path npm run desktop  uses the one in that folder.',
    ].join('\n'),
  );
  process.exit(1);
}
if (process.getuid?.() === 0) {
  console.error('identree: the desktop console does not run as root. Start it as the user of the desktop.');
  process.exit(1);
}
const app = await buildDesktop();
const child = spawn(executable, [app, ...process.argv.slice(2)], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`identree: ${executable} could not be started (${error.message}).`);
  process.exitCode = 1;
});
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
