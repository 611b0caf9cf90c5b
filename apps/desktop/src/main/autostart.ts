import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AutostartPort } from './ports.ts';

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
      // The desktop's own settings switch it off by this line and leave the file.
      return text !== null && !/^\s*Hidden\s*=\s*true\s*$/m.test(text);
    },
    async set(on) {
      if (!on) return rm(file, { force: true });
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      const exec = [...command, BACKGROUND_ARGUMENT].map(execWord).join(' ');
      const lines = ['[Desktop Entry]', 'Type=Application', 'Name=identree', `Icon=${id}`, `Exec=${exec}`, ''];
      await writeFile(file, lines.join('\n'));
    },
  };
}

/** One word of an Exec line, quoted as the Desktop Entry Specification says: first for the word, then for the file. */
export function execWord(word: string): string {
  if (/[\p{C}\u2028\u2029]/u.test(word)) throw new TypeError('a program with control characters in its path');
  const quoted = `"${word.replace(/["`$\\]/g, (char) => `\\${char}`).replaceAll('%', '%%')}"`;
  return quoted.replaceAll('\\', '\\\\');
}
