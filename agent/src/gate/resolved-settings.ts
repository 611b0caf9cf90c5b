import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { RESOLVED_GROUPS_SHOWN, type ResolvedBySudo } from '#shared/decision.ts';
import type { PluginParts } from './plugin-parts.ts';
import { shownPath } from './shown-argv.ts';
import { isAtHand } from './walk-path.ts';

/** What sudoers sets where nothing is said (`umask` of sudoers(5)). */
const USUAL_UMASK = 0o022;
const NAME_MAX = 256;
const GROUPS = '/etc/group';

async function groupLines(root: string): Promise<string[]> {
  const path = `${root}${GROUPS}`;
  try {
    return (isAtHand(root, '/etc') ? readFileSync(path, 'latin1') : await readFile(path, 'latin1')).split('\n');
  } catch {
    return [];
  }
}

/**
 * Supplementary groups that an account gets without being named among their members in this host's own list: by a
 * directory, or because sudo was told to set them. Of root there are none to mention, it may do everything anyway.
 */
async function unusualGroups({ commandInfo }: PluginParts, root: string, runAsUser: string): Promise<string[]> {
  const text = (name: string) => commandInfo.get(name)?.toString('latin1');
  if ((text('runas_euid') ?? text('runas_uid')) === '0') return [];
  const own = text('runas_egid') ?? text('runas_gid');
  const others = new Set(
    (text('runas_groups') ?? '').split(',').filter((gid) => /^\d{1,10}$/.test(gid) && gid !== own),
  );
  if (others.size === 0) return [];
  const names = new Map([...others].map((gid) => [gid, `#${gid}`]));
  for (const line of await groupLines(root)) {
    const [name = '', , gid = '', members = ''] = line.split(':');
    if (!names.has(gid)) continue;
    if (members.trim().split(',').includes(runAsUser)) names.delete(gid);
    else names.set(gid, shownPath(name, NAME_MAX));
  }
  return [...names.values()];
}

/**
 * What sudo sets beside program, environment and account, where that is not what every command gets; undefined where all
 * of it is.
 *
 * @param root prefix under which sudo sees its files; '' for our own.
 */
export async function resolvedSettings(
  parts: PluginParts,
  { root, runAsUser }: { root: string; runAsUser: string },
): Promise<ResolvedBySudo['settings']> {
  const text = (name: string): string | null => {
    const value = parts.commandInfo.get(name)?.toString('latin1') ?? '';
    return value === '' ? null : shownPath(value, NAME_MAX);
  };
  const umask = text('umask');
  const timeout = text('timeout');
  const [role, type, profile] = [text('selinux_role'), text('selinux_type'), text('apparmor_profile')];
  const groups = await unusualGroups(parts, root, runAsUser);
  const more = groups.length - RESOLVED_GROUPS_SHOWN;
  const settings: NonNullable<ResolvedBySudo['settings']> = {
    ...(text('preserve_groups') === 'true' ? { keepsGroups: true } : {}),
    ...(groups.length > 0 ? { groups: groups.slice(0, RESOLVED_GROUPS_SHOWN) } : {}),
    ...(more > 0 ? { groupsMore: more } : {}),
    ...(umask !== null && /^[0-7]{1,5}$/.test(umask) && Number.parseInt(umask, 8) !== USUAL_UMASK ? { umask } : {}),
    ...(timeout !== null && /^[1-9]\d{0,9}$/.test(timeout) ? { timeoutSeconds: Number(timeout) } : {}),
    ...(role === null ? {} : { selinuxRole: role }),
    ...(type === null ? {} : { selinuxType: type }),
    ...(profile === null ? {} : { apparmorProfile: profile }),
  };
  return Object.keys(settings).length === 0 ? undefined : settings;
}
