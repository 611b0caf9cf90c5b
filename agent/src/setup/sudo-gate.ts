import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Run } from '../platform/run.ts';
import { asksThrough, MODULE, pamFile, SERVICES, type Service } from './pam-stacks.ts';
import { type PluginLine, pluginsOf, SUDO_CONF } from './sudo-conf.ts';

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

/** How sudo and ssh are gated on this host, as its files say. */
export interface GateState {
  /** Null: identree does not gate sudo. */
  gate: SudoGate | null;
  /** What is not as setup left it. */
  drift: string[];
}

const isFile = async (path: string): Promise<boolean> => (await stat(path).catch(() => null))?.isFile() === true;

/** Where another sudo would be found before, or beside, the one that reads /etc/sudo.conf. */
const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin', '/opt/bin'];

/** Other programs named sudo that could gain root: each must be asked too, and no setup has looked at it. */
async function otherSudos(root: string): Promise<string[]> {
  const found = new Map<string, string>();
  for (const folder of FOLDERS) {
    const path = join(root, folder, 'sudo');
    const info = await stat(path, { bigint: true }).catch(() => null);
    if (info === null || (info.mode & 0o4000n) === 0n) continue;
    const id = `${info.dev}:${info.ino}`;
    if (!found.has(id)) found.set(id, `${folder}/sudo`);
  }
  return [...found.values()].slice(1);
}

/**
 * What keeps the plugin from being asked, or is not what was installed. Where it is not loaded, the PAM stage asks by
 * itself, so none of this opens the gate.
 *
 * @param build of the plugin that belongs to this agent; null when it runs from source.
 */
export async function readGateState(root: string, build: string | null): Promise<GateState> {
  const asked = new Map<Service, ReturnType<typeof asksThrough>>();
  for (const service of SERVICES)
    asked.set(service, asksThrough(await readFile(join(root, pamFile(service)), 'latin1').catch(() => '')));
  const staged = asked.get('sudo') !== null;
  const drift: string[] = [];
  for (const [service, through] of asked) {
    if (through === 'pam_exec')
      drift.push(`${pamFile(service)} still has pam_exec start the stage, as an earlier version set it up`);
  }
  if ([...asked.values()].includes('module') && !(await isFile(join(root, MODULE))))
    drift.push(`${MODULE} is not there: PAM refuses`);
  const plugins = pluginsOf(await readFile(join(root, SUDO_CONF), 'latin1').catch(() => ''));
  const isOurs = ({ symbol }: PluginLine) => symbol.startsWith('identree_');
  if (!plugins.some(isOurs)) return { gate: staged ? 'pam' : null, drift };
  for (const line of SUDO_CONF_LINES) {
    if (!plugins.some(({ symbol, path }) => line === `Plugin ${symbol} ${path}`))
      drift.push(`${SUDO_CONF} lacks: ${line}`);
  }
  const before = plugins.slice(0, plugins.findIndex(isOurs));
  const foreign = before.find(({ symbol }) => !symbol.startsWith('sudoers_'));
  if (foreign !== undefined) {
    const line = ['Plugin', foreign.symbol, foreign.path, ...foreign.options].join(' ');
    drift.push(`${SUDO_CONF} loads another plugin before identree's: ${line}`);
  }
  if (!staged) drift.push('/etc/pam.d/sudo does not name pam_identree.so: sudo asks for a password too');
  if (!(await isFile(join(root, PLUGIN)))) drift.push(`${PLUGIN} is not there: sudo refuses everything`);
  else if (build !== null && !(await readFile(join(root, PLUGIN))).includes(build)) {
    drift.push(`${PLUGIN} is not the one that belongs to this agent: it is refused, and the PAM stage asks`);
  }
  for (const path of await otherSudos(root)) drift.push(`${path} is another sudo; only one is looked at here`);
  return { gate: 'plugin', drift };
}
