import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AutostartPort } from './ports.ts';
import { replaceFile } from './replace-file.ts';

/** Tells the shell to start without a window. */
export const BACKGROUND_ARGUMENT = '--background';

/**
 * Autostart by a file that the desktop reads at login (Desktop Application Autostart Specification). It lies in the
 * person's own folder and is only there when they asked for it.
 *
 * @param command program and arguments that start the shell
 */
export function xdgAutostart(configFolder: string, id: string, command: readonly string[]): AutostartPort {
  const file = join(configFolder, 'autostart', `${id}.desktop`);
  return {
    async isOn() {
      const text = await readFile(file, 'utf8').catch(() => null);
      // The desktop's own settings switch it off by a line of these and leave the file.
      return text !== null && !/^\s*(Hidden\s*=\s*true|X-GNOME-Autostart-enabled\s*=\s*false)\s*$/m.test(text);
    },
    async set(on) {
      if (!on) return rm(file, { force: true });
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      const exec = [...command, BACKGROUND_ARGUMENT].map(execWord).join(' ');
      // The package that is removed leaves this file, which is the person's: without the program it means nothing then.
      const there = command[0]!.replaceAll('\\', '\\\\');
      const lines = ['Type=Application', 'Name=identree', `Icon=${id}`, `TryExec=${there}`, `Exec=${exec}`];
      await replaceFile(file, ['[Desktop Entry]', ...lines, ''].join('\n'));
    },
  };
}

/** One word of an Exec line, quoted as the Desktop Entry Specification says: first for the word, then for the file. */
export function execWord(word: string): string {
  if (/[\p{C}\u2028\u2029]/u.test(word)) throw new TypeError('a program with control characters in its path');
  const quoted = `"${word.replace(/["`$\\]/g, (char) => `\\${char}`).replaceAll('%', '%%')}"`;
  return quoted.replaceAll('\\', '\\\\');
}
