import { join } from 'node:path';
import type { Log } from '../platform/log.ts';
import { pluginAsSetUp } from './gate-state.ts';
import { type KnownPlugins, PLUGIN_RECORD, stampOf } from './known-plugins.ts';
import { SUDO_CONF } from './sudo-conf.ts';
import { PLUGIN } from './sudo-gate.ts';

/** Knows at any time which plugin sudo loads. */
export interface GateWatch {
  /** The build of the plugin that sudo loads as setup left it; null: it loads none that belongs to this agent. */
  loads(): Promise<string | null>;
}

/**
 * Looks at the files again only when one of them is another than before: each sudo asks.
 *
 * @param root folder of the host's files; `/` on the host itself.
 * @param program path of this very program, which may be replaced while it runs.
 */
export function createGateWatch(root: string, program: string, known: KnownPlugins, log: Pick<Log, 'warn'>): GateWatch {
  const files = [SUDO_CONF, PLUGIN, PLUGIN_RECORD, program].map((path) => join(root, path));
  const stampNow = () => files.map(stampOf).join(' ');
  let seen: { stamp: string; build: Promise<string | null> } | null = null;

  async function look(stamp: string): Promise<string | null> {
    const plugin = await pluginAsSetUp(root, await known());
    // A package is put in place file by file, in less time than this takes: what was read may never have been there at once.
    const now = stampNow();
    if (now !== stamp) return look(now);
    if (plugin === null)
      log.warn(
        'the plugin is not loaded by sudo as setup left it, so the PAM stage asks too; identree doctor says why',
      );
    return plugin?.build ?? null;
  }

  return {
    async loads() {
      // At once, and before the files are read: sudo has just read them, a step through the thread pool costs more than
      // the look, and what changes meanwhile is looked at the next time.
      const stamp = stampNow();
      if (seen?.stamp !== stamp) seen = { stamp, build: look(stamp) };
      return seen.build;
    },
  };
}
