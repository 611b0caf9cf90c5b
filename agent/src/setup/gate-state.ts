import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createHostFiles } from '../grants/host-files.ts';
import type { Clock } from '../platform/clock.ts';
import type { PluginIdentity } from '../version.ts';
import { type KnownPlugins, PLUGIN_RECORD, stampOf } from './known-plugins.ts';
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
 * @param known the plugins that belong to this agent; none when it runs from source.
 */
function pluginDrift(plugins: readonly PluginLine[], file: Buffer | null, known: readonly PluginIdentity[]): string[] {
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
  else if (known.length > 0 && !known.some(({ build }) => file.includes(build)))
    drift.push(`${PLUGIN} is not the one that belongs to this agent: it is refused, and the PAM stage asks`);
  else if (known.length > 0 && identityOf(file, known) === null)
    drift.push(`${PLUGIN} was changed after it was built, so the PAM stage asks too`);
  return drift;
}

/** Which of the known plugins a file is, to the last byte. */
function identityOf(file: Buffer, known: readonly PluginIdentity[]): PluginIdentity | null {
  const sha256 = createHash('sha256').update(file).digest('hex');
  return known.find((plugin) => plugin.sha256 === sha256) ?? null;
}

async function readConf(root: string): Promise<{ plugins: PluginLine[]; drift: string[] }> {
  const conf = await readPlugins(createHostFiles(root));
  if ('plugins' in conf) return { plugins: conf.plugins, drift: [] };
  return { plugins: [], drift: [`${SUDO_CONF} is not read by sudo: ${conf.problem}`] };
}

const readPlugin = (root: string): Promise<Buffer | null> => readFile(join(root, PLUGIN)).catch(() => null);

/** The plugin that sudo loads before any other; null unless it is one of the known ones, to the last byte. */
export async function pluginAsSetUp(root: string, known: readonly PluginIdentity[]): Promise<PluginIdentity | null> {
  const { plugins, drift } = await readConf(root);
  const file = await readPlugin(root);
  if (file === null || [...drift, ...pluginDrift(plugins, file, known)].length > 0) return null;
  return identityOf(file, known);
}

/**
 * What keeps the plugin from being asked, or is not what was installed. Where it is not loaded as it was set up, the PAM
 * stage asks by itself, so none of this opens the gate.
 *
 * @param known the plugins that belong to this agent; none when it runs from source.
 */
export async function readGateState(root: string, known: readonly PluginIdentity[]): Promise<GateState> {
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
    drift.push(...pluginDrift(conf.plugins, await readPlugin(root), known));
    if (!staged) drift.push('/etc/pam.d/sudo does not name pam_identree.so: sudo asks for a password too');
  }
  if (named || staged)
    for (const path of await otherSudos(root)) drift.push(`${path} is another sudo; only one is looked at here`);
  return { gate: named ? 'plugin' : staged ? 'pam' : null, drift };
}

/** How often, and how long at most, somebody who looks once waits for a package manager; milliseconds. */
const LOOK_AGAIN_MS = 200;
const PACKAGE_MS = 30_000;

/** Package managers write each file beside the one that it will replace: dpkg all of them before it replaces the first. */
async function isBeingReplaced(path: string): Promise<boolean> {
  const names = await readdir(dirname(path)).catch(() => []);
  return names.some((name) => name !== basename(path) && name.startsWith(basename(path)));
}

/**
 * The same for who looks once, with a program that may itself be of a package half in place: a plugin that does not belong
 * to it is looked at again, until it is not about to be replaced.
 */
export async function readSettledGateState(
  root: string,
  plugins: KnownPlugins,
  clock: Pick<Clock, 'sleep'>,
): Promise<GateState> {
  const stampNow = () => [PLUGIN, PLUGIN_RECORD].map((path) => stampOf(join(root, path))).join(' ');
  for (let waited = 0; ; waited += LOOK_AGAIN_MS) {
    // Asked before the look: a package that is in place right after it was looked at would leave the look as it was.
    const replacing = await isBeingReplaced(join(root, PLUGIN));
    const stamp = stampNow();
    const state = await readGateState(root, await plugins());
    const isOdd = state.drift.some((line) => line.startsWith(PLUGIN));
    const steady = !replacing && stampNow() === stamp;
    if (!isOdd || waited >= PACKAGE_MS || (waited > 0 && steady)) return state;
    await clock.sleep(LOOK_AGAIN_MS);
  }
}
