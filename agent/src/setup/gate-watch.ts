import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../platform/log.ts';
import type { PluginIdentity } from '../version.ts';
import { isPluginAsSetUp } from './gate-state.ts';
import { SUDO_CONF } from './sudo-conf.ts';
import { PLUGIN } from './sudo-gate.ts';

/** Knows at any time whether sudo loads the plugin as setup left it. */
export interface GateWatch {
  asSetUp(): Promise<boolean>;
}

/**
 * Looks at the files again only when one of them is another than before: each sudo asks.
 *
 * @param root folder of the host's files; `/` on the host itself.
 */
export function createGateWatch(root: string, own: PluginIdentity, log: Pick<Log, 'warn'>): GateWatch {
  let known: { stamp: string; asSetUp: Promise<boolean> } | null = null;

  // At once: sudo has just read both, and a step through the thread pool costs more than the look.
  const stampOf = (path: string): string => {
    const info = statSync(join(root, path), { bigint: true, throwIfNoEntry: false });
    return info === undefined ? 'none' : [info.dev, info.ino, info.size, info.mtimeNs, info.ctimeNs].join(':');
  };

  async function look(): Promise<boolean> {
    const asSetUp = await isPluginAsSetUp(root, own);
    if (!asSetUp)
      log.warn(
        'the plugin is not loaded by sudo as setup left it, so the PAM stage asks too; identree doctor says why',
      );
    return asSetUp;
  }

  return {
    async asSetUp() {
      // Before the files are read: what changes meanwhile is looked at the next time.
      const stamp = [SUDO_CONF, PLUGIN].map(stampOf).join(' ');
      if (known?.stamp !== stamp) known = { stamp, asSetUp: look() };
      return known.asSetUp;
    },
  };
}
