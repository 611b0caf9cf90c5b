import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import {
  ENVIRONMENT_SHOWN_BYTES,
  type NotableKind,
  RESOLVED_DESCRIPTORS_SHOWN,
  type RequestMode,
  type ResolvedBySudo,
} from '#shared/decision.ts';
import { escapeBytes } from '#shared/visible-text.ts';
import { withinPatience } from './apart.ts';
import { type Evidence, modeReasons } from './evidence.ts';
import type { PluginParts } from './plugin-parts.ts';
import { resolvedSettings } from './resolved-settings.ts';
import { riskyKind } from './risky-environment.ts';
import { eachArgument, shownPath, variable } from './shown-argv.ts';
import { type LookUp, orderReasons, othersCanAdd, type ResolvedTarget, resolveTarget, UNKNOWN } from './target.ts';
import { changeableByUsers, followPath, walkPath } from './walk-path.ts';

const NOTABLE_MAX = 32;
const NOTABLE_BYTES = 4096;
const VALUE_MAX = 256;
const NAMES_MAX = 1024;
/** The most that a record can name; no process has more. */
const HIGHEST_DESCRIPTOR = 1_048_576;
const FIRST_PASSED_ON = 3;

const text = (bytes: Buffer | undefined): string | null => bytes?.toString('latin1') ?? null;
const isTrue = (bytes: Buffer | undefined) => bytes?.toString('latin1') === 'true';

function modeOf({ settings, commandInfo }: PluginParts): RequestMode {
  if (isTrue(commandInfo.get('sudoedit'))) return 'edit';
  if (isTrue(settings.get('login_shell'))) return 'login-shell';
  return isTrue(settings.get('run_shell')) ? 'shell' : 'command';
}

/** `preserve_fds` and what lies below `closefrom`: the first of them, and how many more. */
function descriptorsOf({ commandInfo }: PluginParts): Pick<ResolvedBySudo, 'descriptors' | 'descriptorsMore'> {
  const number = (digits: string) => (/^\d{1,7}$/.test(digits) ? Number(digits) : null);
  const kept = new Set((text(commandInfo.get('preserve_fds')) ?? '').split(',').map(number));
  const closeFrom = number(text(commandInfo.get('closefrom')) ?? '') ?? FIRST_PASSED_ON;
  const below = Math.min(closeFrom, HIGHEST_DESCRIPTOR + 1);
  const listed = Math.min(below, FIRST_PASSED_ON + RESOLVED_DESCRIPTORS_SHOWN);
  const above = [...kept].filter((fd): fd is number => fd !== null && fd >= below && fd <= HIGHEST_DESCRIPTOR);
  const first = Array.from({ length: Math.max(0, listed - FIRST_PASSED_ON) }, (_, i) => FIRST_PASSED_ON + i);
  const descriptors = [...first, ...above.sort((a, b) => a - b)].slice(0, RESOLVED_DESCRIPTORS_SHOWN);
  const more = Math.max(0, below - FIRST_PASSED_ON) + above.length - descriptors.length;
  return { descriptors, ...(more > 0 ? { descriptorsMore: more } : {}) };
}

/** Folders that only root may add to on an ordinary Linux system: a PATH of these alone is nothing to mention. */
const SYSTEM_FOLDERS = /^\/(usr\/local\/|usr\/|snap\/)?s?bin$/;

/** Values that sudo itself sets for everybody; null where another one was chosen. */
interface UsualValues {
  /** A folder of whom the command runs as: programs read their settings there. */
  home: string | null;
  /** What only root can change or put there: some programs start it by themselves. */
  shell: string | null;
}

/**
 * What a variable can make the command do; null when nothing is known of it, or when its value is a usual one. Name and
 * value as latin1.
 */
function notableKindOf(name: string, value: string, usual: UsualValues): NotableKind | null {
  if (name === 'SHELL') return value === usual.shell ? null : 'shell';
  if (name === 'PATH') return value.split(':').every((folder) => SYSTEM_FOLDERS.test(folder)) ? null : 'path';
  if (name === 'HOME') return value === usual.home ? null : 'path';
  return riskyKind(name);
}

/** Bytes as latin1. */
const variableOf = (environment: Buffer, name: string): string | null =>
  variable(environment, name)?.toString('latin1') ?? null;

async function usualHome(home: string | null, root: string, uid: number): Promise<string | null> {
  const walked = home?.startsWith('/') ? await walkPath(root, home) : null;
  return walked?.info.isDirectory() && walked.info.uid === BigInt(uid) ? home : null;
}

async function usualShell(shell: string | null, root: string): Promise<string | null> {
  if (!shell?.startsWith('/')) return null;
  const walked = await followPath(root, shell);
  if (walked === 'unknown') return null;
  const others =
    walked === 'absent'
      ? othersCanAdd(root, posix.dirname(shell))
      : walked.userWritable || changeableByUsers(walked.info);
  return (await others) ? null : shell;
}

async function usualValues(environment: Buffer, root: string, uid: number): Promise<UsualValues> {
  return {
    home: await usualHome(variableOf(environment, 'HOME'), root, uid),
    shell: await usualShell(variableOf(environment, 'SHELL'), root),
  };
}

function environmentOf(environment: Buffer, usual: UsualValues): ResolvedBySudo['environment'] {
  const names: string[] = [];
  const notable: ResolvedBySudo['environment']['notable'] = [];
  let room = ENVIRONMENT_SHOWN_BYTES;
  let notableRoom = NOTABLE_BYTES;
  let truncated = false;
  for (const entry of eachArgument(environment)) {
    const equals = entry.indexOf('=');
    if (room >= 0) {
      const bytes = equals === -1 ? entry : entry.subarray(0, equals);
      // Escaping never shortens: what is longer than the room does not fit, and need not be looked at.
      const name = bytes.length > room ? null : escapeBytes(bytes);
      room -= name === null ? room + 1 : Buffer.byteLength(name);
      if (room < 0 || names.length === NAMES_MAX) truncated = true;
      else names.push(name!);
    }
    if (equals === -1) continue;
    const name = entry.toString('latin1', 0, equals);
    const value = entry.toString('latin1', equals + 1);
    const kind = notableKindOf(name, value, usual);
    if (kind === null) continue;
    const shown = { name: shownPath(name, VALUE_MAX), kind, value: shownPath(value, VALUE_MAX) };
    notableRoom -= Buffer.byteLength(JSON.stringify(shown));
    if (notableRoom < 0 || notable.length === NOTABLE_MAX) truncated = true;
    else notable.push(shown);
  }
  return { sha256: createHash('sha256').update(environment).digest('base64url'), names, truncated, notable };
}

/** With `stay_setuid` the real uid stays the asker's, and the effective one is what the command has power by. */
const runAsUidOf = ({ commandInfo }: PluginParts): string | null =>
  text(commandInfo.get('runas_euid') ?? commandInfo.get('runas_uid'));

/** The path that sudo executes, within what will be the root of the file system. */
async function targetOf(
  command: string,
  { root, chroot, securePath, asRoot }: LookUp & { chroot: string | null },
): Promise<ResolvedTarget> {
  // What sudo executes by a descriptor, or relative to a folder that only it knows, is no path to look at.
  if (!command.startsWith('/')) return UNKNOWN;
  if (chroot === null) return resolveTarget(command, { root, securePath, asRoot });
  // A user who can lead the way to that root elsewhere, or add to it, chooses every file in it.
  const walked = chroot.startsWith('/') ? await followPath(root, chroot) : 'unknown';
  if (typeof walked === 'string' || !walked.info.isDirectory()) return UNKNOWN;
  const { target, unrestricted } = await resolveTarget(command, {
    root: `${root}${walked.real.replace(/\/$/, '')}`,
    securePath,
    asRoot,
  });
  if (!walked.userWritable && !changeableByUsers(walked.info)) return { target, unrestricted };
  return { target: target && { ...target, sha256: null }, unrestricted: [...unrestricted, 'user-writable-path'] };
}

/**
 * The program that sudo has decided to execute, as the file system has it now.
 *
 * @param root prefix under which sudo sees its files; '' for our own.
 */
export async function targetBySudo(parts: PluginParts, root: string): Promise<ResolvedTarget> {
  // The editor runs as who asks; what it is allowed is to write the file, which can be any text.
  if (modeOf(parts) === 'edit') return { target: null, unrestricted: [] };
  // By this env(1) finds the interpreter of a script.
  const path = variableOf(parts.environment, 'PATH');
  const securePath = path?.split(':').every((folder) => folder.startsWith('/')) ? path.split(':') : null;
  const command = text(parts.commandInfo.get('command')) ?? '';
  const chroot = text(parts.commandInfo.get('chroot'));
  const by = { root, chroot, securePath, asRoot: runAsUidOf(parts) === '0' };
  return withinPatience(targetOf(command, by), UNKNOWN);
}

/** Where a sudo and its files are. */
interface Place {
  /** Prefix under which sudo sees its files; '' for our own. */
  root: string;
  /** The folder of its process as it is called now. */
  folder: string | null;
  intercepted: boolean;
}

/** The folder in which the command starts, as it is called now; null when that cannot be said. */
async function findFolder(
  { commandInfo, userInfo }: PluginParts,
  { root, folder, intercepted }: Place,
): Promise<string | null> {
  if (intercepted) {
    // Where the command that starts it is by now. Everything else is of that command's own start.
    const now = text(commandInfo.get('runcwd'));
    return now?.startsWith('/') ? now : null;
  }
  // sudo tells a folder only if it changes it, and in another root it may change it without telling.
  const told = text(commandInfo.get('cwd'));
  const within = text(commandInfo.get('chroot'));
  if (told === null) {
    // sudo looked once, when it began. Whoever may rename a folder had it there under a name that is another one's.
    const begun = within === null ? text(userInfo.get('cwd')) : null;
    return begun === folder ? begun : null;
  }
  // A link may lead anywhere, and somebody may lead it elsewhere meanwhile.
  const walked = await followPath(`${root}${within?.replace(/\/+$/, '') ?? ''}`, told);
  if (typeof walked !== 'string' && walked.info.isDirectory()) return walked.real;
  // Where sudo cannot go there (a home that is not made yet), it runs the command where it is, or refuses by itself.
  return walked === 'unknown' || isTrue(commandInfo.get('cwd_optional')) ? null : told;
}

/** As the record says it. */
export const folderBySudo = (parts: PluginParts, place: Place): Promise<string | null> =>
  withinPatience(findFolder(parts, place), null);

/**
 * What sudo has decided to execute, as it told the approval plugin: nothing here is worked out from a command line.
 *
 * @param context.plugin version of the plugin interface of this sudo.
 * @returns null when sudo did not tell what every command has.
 */
export async function resolvedEvidence(
  parts: PluginParts,
  context: Place & {
    plugin: string;
    reason: string | null;
    locale: string;
    term: string;
  },
): Promise<Evidence | null> {
  const { commandInfo } = parts;
  const command = text(commandInfo.get('command'));
  const runAsUid = runAsUidOf(parts);
  if (!command || runAsUid === null || parts.argv.length === 0) return null;
  const chroot = text(commandInfo.get('chroot'));
  const mode = modeOf(parts);
  const root = `${context.root}${chroot?.replace(/\/+$/, '') ?? ''}`;
  const resolved = await targetBySudo(parts, context.root);
  const noneKnown = { home: null, shell: null };
  const usual = await withinPatience(usualValues(parts.environment, root, Number(runAsUid)), noneKnown);
  const environment = environmentOf(parts.environment, usual);
  const environmentReasons = environment.notable.length > 0 ? (['environment'] as const) : [];
  // Under whatever other name: rules and people look for this one.
  const runAsUser = runAsUid === '0' ? 'root' : (text(commandInfo.get('runas_user')) ?? `#${runAsUid}`);
  const runAsGroup = text(commandInfo.get('runas_group'));
  const cwd = await folderBySudo(parts, context);
  const settings = await resolvedSettings(parts, { root: context.root, runAsUser });
  return {
    cmdline: parts.argv,
    cwd: cwd === null ? null : { path: cwd, device: '', inode: '' },
    target: resolved.target,
    mode,
    unrestricted: orderReasons([...modeReasons(mode), ...resolved.unrestricted, ...environmentReasons]),
    runAs: { user: shownPath(runAsUser, 256), group: runAsGroup === null ? null : shownPath(runAsGroup, 256) },
    reason: context.reason,
    locale: context.locale,
    term: context.term,
    resolved: {
      sudo: context.plugin,
      command: shownPath(command),
      chroot: chroot === null ? null : shownPath(chroot),
      ...descriptorsOf(parts),
      ...(settings ? { settings } : {}),
      intercepted: context.intercepted,
      environment,
    },
  };
}
