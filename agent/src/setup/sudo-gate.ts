import type { Run } from '../platform/run.ts';

/** Who asks for a command of sudo: the plugin inside it, or the PAM stage before it has decided. */
export type SudoGate = 'plugin' | 'pam';

export const PLUGIN = '/usr/lib/identree/identree_sudo.so';

/** The lines of sudo.conf(5). sudo adds its own plugins where a file names none of that kind. */
export const SUDO_CONF_LINES = ['identree_audit', 'identree_approval'].map((symbol) => `Plugin ${symbol} ${PLUGIN}`);

/** Which gate a sudo can have, and why, in words. */
export interface GateChoice {
  gate: SudoGate;
  why: string;
  /** It can ask PAM under `sudo -n` too (`noninteractive_auth` of sudoers(5), since 1.9.10). */
  noninteractive: boolean;
  /** What it says of a refusal can be set (`authfail_message` of sudoers(5), since 1.8.22). */
  wordsRefusal: boolean;
}

/** The sudo of this host. `sudo -V` of sudo-rs begins with its own name. */
export async function chooseGate(run: Run): Promise<GateChoice> {
  const { code, output } = await run('sudo', ['-V']);
  const version = code === 0 ? /^Sudo version (\d+)\.(\d+)(?:\.(\d+))?\S*/m.exec(output) : null;
  if (version === null) {
    const other = /^sudo-rs \S+/m.exec(output)?.[0];
    return {
      gate: 'pam',
      why: `${other ?? 'the sudo of this host'} has no plugins`,
      noninteractive: false,
      wordsRefusal: false,
    };
  }
  const [name, major, minor, patch = '0'] = version;
  const loads = Number(major) > 1 || Number(minor) >= 9;
  const noninteractive = Number(major) > 1 || Number(minor) > 9 || Number(patch) >= 10;
  const wordsRefusal = loads || (Number(minor) === 8 && Number(patch) >= 22);
  const words = name.replace('Sudo version', 'sudo');
  return loads
    ? { gate: 'plugin', why: `${words} says itself what it will run`, noninteractive, wordsRefusal }
    : { gate: 'pam', why: `${words} has no approval plugins; 1.9 has`, noninteractive: false, wordsRefusal };
}

/** Why the plugin could not be loaded; null when sudo itself says that it is. */
export async function pluginProblem(run: Run): Promise<string | null> {
  const { code, output } = await run('sudo', ['-V']);
  const loaded = output.match(/^identree plugin, build \S+$/gm)?.length ?? 0;
  if (code !== 0 || loaded !== SUDO_CONF_LINES.length) {
    return `sudo does not load ${PLUGIN}: ${output.trim().split('\n').at(-1) ?? ''}`;
  }
  // As root, which is asked nothing: it has to come through both plugins all the same.
  const rehearsal = await run('sudo', ['-n', 'true']);
  return rehearsal.code === 0 ? null : `sudo cannot run anything with ${PLUGIN}: ${rehearsal.output}`;
}
