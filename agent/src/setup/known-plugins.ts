import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { PluginIdentity } from '../version.ts';

/** Names the plugin that lies beside it. */
export const PLUGIN_RECORD = '/usr/lib/identree/identree_sudo.id';

const record = z.object({
  build: z.string().regex(/^[0-9a-f]{32}$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** By what a file is told from every other, and from itself as it was; `none` where there is none. */
export function stampOf(path: string): string {
  const info = statSync(path, { bigint: true, throwIfNoEntry: false });
  return info === undefined ? 'none' : [info.dev, info.ino, info.size, info.mtimeNs, info.ctimeNs].join(':');
}

/**
 * The plugins that count as this agent's: its own, and from the moment on that another version is put in its place, until
 * it is restarted, that version's too. Sudo loads the new plugin as soon as it is there, and who uses sudo then must
 * neither be refused nor asked twice.
 *
 * While this program is the one that is installed, what lies beside the plugin says nothing: only what was built in counts.
 *
 * @param root folder of the host's files; `/` on the host itself.
 * @param program path of the installed program.
 * @param running path of the file that this process runs, whatever has become of its name.
 */
export function createKnownPlugins(root: string, program: string, own: PluginIdentity, running = '/proc/self/exe') {
  const idOf = (path: string) => {
    const info = statSync(path, { bigint: true, throwIfNoEntry: false });
    return info && `${info.dev}:${info.ino}`;
  };
  return async (): Promise<readonly PluginIdentity[]> => {
    const [installed, mine] = [idOf(join(root, program)), idOf(running)];
    if (installed === undefined || mine === undefined || installed === mine) return [own];
    const text = await readFile(join(root, PLUGIN_RECORD), 'utf8').catch(() => '');
    const [build, sha256] = text.trim().split(' ');
    const next = record.safeParse({ build, sha256 });
    return next.success ? [own, next.data] : [own];
  };
}

export type KnownPlugins = ReturnType<typeof createKnownPlugins>;
