import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createHostFiles } from '../grants/host-files.ts';
import type { PluginIdentity } from '../version.ts';
import { asksThrough, MODULE, pamFile, SERVICES, type Service } from './pam-stacks.ts';
import { isOurs, type PluginLine, readPlugins, SUDO_CONF } from './sudo-conf.ts';
import { PLUGIN, SUDO_CONF_LINES, type SudoGate } from './sudo-gate.ts';

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
 * What is not as setup left it in the file that names the plugin, and in the plugin itself.
 *
 * @param own the plugin that belongs to this agent; null when it runs from source.
 */
function pluginDrift(plugins: readonly PluginLine[], file: Buffer | null, own: PluginIdentity | null): string[] {
  const drift: string[] = [];
  for (const line of SUDO_CONF_LINES) {
    if (!plugins.some(({ symbol, path }) => line === `Plugin ${symbol} ${path}`))
      drift.push(`${SUDO_CONF} lacks: ${line}`);
  }
  const before = plugins.slice(0, Math.max(0, plugins.findIndex(isOurs)));
  const foreign = before.find(({ symbol }) => !symbol.startsWith('sudoers_'));
  if (foreign !== undefined) {
    const line = ['Plugin', foreign.symbol, foreign.path, ...foreign.options].join(' ');
    drift.push(`${SUDO_CONF} loads another plugin before identree's, so the PAM stage asks too: ${line}`);
  }
  if (file === null) drift.push(`${PLUGIN} is not there: sudo refuses everything`);
  else if (own !== null && !file.includes(own.build))
    drift.push(`${PLUGIN} is not the one that belongs to this agent: it is refused, and the PAM stage asks`);
  else if (own !== null && createHash('sha256').update(file).digest('hex') !== own.sha256)
    drift.push(`${PLUGIN} was changed after it was built, so the PAM stage asks too`);
  return drift;
}

async function readConf(root: string): Promise<{ plugins: PluginLine[]; drift: string[] }> {
  const conf = await readPlugins(createHostFiles(root));
  if ('plugins' in conf) return { plugins: conf.plugins, drift: [] };
  return { plugins: [], drift: [`${SUDO_CONF} is not read by sudo: ${conf.problem}`] };
}

const readPlugin = (root: string): Promise<Buffer | null> => readFile(join(root, PLUGIN)).catch(() => null);

/** Whether sudo loads the plugin, the very one that belongs to this agent, before any other. */
export async function isPluginAsSetUp(root: string, own: PluginIdentity): Promise<boolean> {
  const { plugins, drift } = await readConf(root);
  return [...drift, ...pluginDrift(plugins, await readPlugin(root), own)].length === 0;
}

/**
 * What keeps the plugin from being asked, or is not what was installed. Where it is not loaded as it was set up, the PAM
 * stage asks by itself, so none of this opens the gate.
 *
 * @param own the plugin that belongs to this agent; null when it runs from source.
 */
export async function readGateState(root: string, own: PluginIdentity | null): Promise<GateState> {
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
  const conf = await readConf(root);
  drift.push(...conf.drift);
  const named = conf.plugins.some(isOurs);
  if (named) {
    drift.push(...pluginDrift(conf.plugins, await readPlugin(root), own));
    if (!staged) drift.push('/etc/pam.d/sudo does not name pam_identree.so: sudo asks for a password too');
  }
  if (named || staged)
    for (const path of await otherSudos(root)) drift.push(`${path} is another sudo; only one is looked at here`);
  return { gate: named ? 'plugin' : staged ? 'pam' : null, drift };
}
