import { type PluginLine, pluginsOf, SUDO_CONF } from '../setup/sudo-conf.ts';
import type { SudoGate } from '../setup/sudo-gate.ts';
import type { HostFiles } from './host-files.ts';

export const SUDOERS = '/etc/sudoers';
/** Where distributions put it that leave /etc to the administrator (`--enable-adminconf`). */
const VENDOR_SUDOERS = '/usr/etc/sudoers';

async function plugins(files: HostFiles): Promise<PluginLine[]> {
  const found = await files.read(SUDO_CONF);
  return found === null || 'problem' in found ? [] : pluginsOf(found.text);
}

/** Which gate sudo.conf says this host has. */
export async function readSudoGate(files: HostFiles): Promise<SudoGate> {
  return (await plugins(files)).some(({ symbol }) => symbol === 'identree_approval') ? 'plugin' : 'pam';
}

/** The file that sudo begins to read its rules in: sudo.conf may name others, and of several the first that is there counts. */
export async function sudoersFile(files: HostFiles): Promise<string> {
  const options = (await plugins(files)).flatMap(({ symbol, options }) =>
    symbol.startsWith('sudoers_') ? options : [],
  );
  const said = options.findLast((word) => word.startsWith('sudoers_file='))?.slice('sudoers_file='.length);
  const paths = said === undefined ? [SUDOERS, VENDOR_SUDOERS] : said.split(':');
  for (const path of paths) if ((await files.read(path)) !== null) return path;
  return paths[0]!;
}
