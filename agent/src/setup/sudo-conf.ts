import type { HostFiles } from '../grants/host-files.ts';

export const SUDO_CONF = '/etc/sudo.conf';

/** A plugin that sudo.conf(5) has sudo load. */
export interface PluginLine {
  symbol: string;
  path: string;
  options: string[];
}

/**
 * The lines of sudo.conf as sudo reads them: `#` begins a comment wherever it stands, and a line that ends in a single
 * backslash goes on in the next one, whose blanks in front do not count. One with a comment never goes on.
 */
function linesOf(text: string): string[] {
  const lines: string[] = [];
  let begun = '';
  let goesOn = false;
  for (const raw of text.split(/\r*\n/)) {
    const comment = raw.indexOf('#');
    goesOn = comment === -1 && /(^|[^\\])\\$/.test(raw);
    const said = comment === -1 ? raw : raw.slice(0, comment);
    begun += (goesOn ? said.slice(0, -1) : said.replace(/[ \t]+$/, '')).replace(/^[ \t]+/, '');
    if (goesOn) continue;
    lines.push(begun);
    begun = '';
  }
  if (begun !== '') lines.push(begun);
  return lines;
}

/** The plugins that sudo.conf names, in its order. A line without a path is one that sudo passes over. */
export function pluginsOf(text: string): PluginLine[] {
  return linesOf(text).flatMap((line) => {
    const [word = '', symbol, path, ...options] = line.split(/[ \t]+/).filter((part) => part !== '');
    if (word.toLowerCase() !== 'plugin' || symbol === undefined || path === undefined) return [];
    return [{ symbol, path, options }];
  });
}

/** A line that has sudo load a part of identree. */
export const isOurs = ({ symbol }: PluginLine): boolean => symbol.startsWith('identree_');

/** The plugins that sudo of this host loads. It takes no notice of a file that others than root can change. */
export async function readPlugins(files: HostFiles): Promise<{ plugins: PluginLine[] } | { problem: string }> {
  const found = await files.read(SUDO_CONF);
  if (found === null) return { plugins: [] };
  return 'problem' in found ? found : { plugins: pluginsOf(found.text) };
}
