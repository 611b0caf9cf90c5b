import { readPlugins } from '../setup/sudo-conf.ts';
import type { HostFiles } from './host-files.ts';

export const SUDOERS = '/etc/sudoers';
/** Where distributions put it that leave /etc to the administrator (`--enable-adminconf`). */
const VENDOR_SUDOERS = '/usr/etc/sudoers';

/** The file that sudo begins to read its rules in: sudo.conf may name others, and of several the first that is there counts. */
export async function sudoersFile(files: HostFiles): Promise<string> {
  const conf = await readPlugins(files);
  const plugins = 'problem' in conf ? [] : conf.plugins;
  const options = plugins.flatMap(({ symbol, options }) => (symbol.startsWith('sudoers_') ? options : []));
  const said = options.findLast((word) => word.startsWith('sudoers_file='))?.slice('sudoers_file='.length);
  const paths = said === undefined ? [SUDOERS, VENDOR_SUDOERS] : said.split(':');
  for (const path of paths) if ((await files.read(path)) !== null) return path;
  return paths[0]!;
}
