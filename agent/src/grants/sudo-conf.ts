import type { SudoGate } from '../setup/sudo-gate.ts';
import type { HostFiles } from './host-files.ts';

const SUDO_CONF = '/etc/sudo.conf';
export const SUDOERS = '/etc/sudoers';
/** Where distributions put it that leave /etc to the administrator (`--enable-adminconf`). */
const VENDOR_SUDOERS = '/usr/etc/sudoers';

async function pluginLines(files: HostFiles): Promise<string[][]> {
  const found = await files.read(SUDO_CONF);
  if (found === null || 'problem' in found) return [];
  return found.text
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map((line) =>
      line
        .replace(/^\s*#.*$/, '')
        .trim()
        .split(/\s+/),
    )
    .filter(([word]) => word?.toLowerCase() === 'plugin')
    .map(([, ...words]) => words);
}

/** Which gate sudo.conf says this host has. */
export async function readSudoGate(files: HostFiles): Promise<SudoGate> {
  return (await pluginLines(files)).some(([symbol]) => symbol === 'identree_approval') ? 'plugin' : 'pam';
}

/** The file that sudo begins to read its rules in: sudo.conf may name others, and of several the first that is there counts. */
export async function sudoersFile(files: HostFiles): Promise<string> {
  const words = (await pluginLines(files)).filter(([symbol]) => symbol?.startsWith('sudoers_')).flat();
  const said = words.findLast((word) => word.startsWith('sudoers_file='))?.slice('sudoers_file='.length);
  const paths = said === undefined ? [SUDOERS, VENDOR_SUDOERS] : said.split(':');
  for (const path of paths) if ((await files.read(path)) !== null) return path;
  return paths[0]!;
}
