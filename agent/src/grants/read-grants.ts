import { hostname } from 'node:os';
import { doasGrants } from './doas.ts';
import { type Grant, isUnread, sortGrants } from './grant.ts';
import { groupGrants } from './groups.ts';
import { createHostFiles, type HostFiles } from './host-files.ts';
import { wheelGrants } from './pam-wheel.ts';
import { polkitGrants } from './polkit/polkit-grants.ts';
import { type GateSettings, settingsPastGate } from './sudoers/gate-settings.ts';
import { readSudoers } from './sudoers/read-sudoers.ts';
import { sudoersGrants } from './sudoers/sudoers-grants.ts';
import { sudoersFile } from './sudoers-file.ts';

/** sudo-rs reads this one in place of the other when it is there. */
const SUDOERS_RS = '/etc/sudoers-rs';

/** In a file that is none of its kind every line is unread; this many say it. */
const MAX_UNREAD = 20;

/** Lines that could not be read, at most so many for each file, the last of them with how many there are. */
function boundUnread(grants: readonly Grant[]): Grant[] {
  const count = new Map<string, number>();
  const seen = new Map<string, number>();
  const countUp = (counts: Map<string, number>, file: string) =>
    counts.set(file, (counts.get(file) ?? 0) + 1).get(file)!;
  for (const grant of grants) if (isUnread(grant)) countUp(count, grant.file);
  return grants.flatMap((grant): Grant[] => {
    if (!isUnread(grant)) return [grant];
    const at = countUp(seen, grant.file);
    const more = count.get(grant.file)! - MAX_UNREAD;
    if (at > MAX_UNREAD) return [];
    return at < MAX_UNREAD || more === 0
      ? [grant]
      : [{ ...grant, unread: `${grant.unread} ${more} more lines of this file are like it.` }];
  });
}

/** On Debian the folder of polkit's rules belongs to the account that polkit runs as. */
async function uidOf(files: HostFiles, account: string): Promise<number | null> {
  const found = await files.read('/etc/passwd');
  if (found === null || 'problem' in found) return null;
  const uid = new RegExp(`^${account}:[^:]*:(\\d+):`, 'm').exec(found.text)?.[1];
  return uid === undefined ? null : Number(uid);
}

/** What `%h` in sudoers stands for. */
const shortHostname = (): string => hostname().split('.')[0]!;

/**
 * Everything that gives power on this host besides identree, as its files say. What another program decides while it
 * runs, and what a directory gives, is not in them.
 *
 * @param root folder of the host's files; `/` on the host itself.
 * @param shortName what `%h` in sudoers stands for.
 */
export async function readGrants(root: string, shortName = shortHostname()): Promise<Grant[]> {
  const files = createHostFiles(root);
  const sudoers = async (file: string) => sudoersGrants(await readSudoers(files, file, shortName));
  const found = await Promise.all([
    sudoers(await sudoersFile(files)),
    sudoers(SUDOERS_RS),
    polkitGrants(createHostFiles(root, await uidOf(files, 'polkitd'))),
    doasGrants(files),
    wheelGrants(files),
    groupGrants(files),
  ]);
  return boundUnread(sortGrants(found.flat()));
}

/** What the rules of this host say against the gate; nothing that a directory gives is in it. */
export async function readGateSettings(root: string): Promise<GateSettings> {
  const files = createHostFiles(root);
  return settingsPastGate(await readSudoers(files, await sudoersFile(files), shortHostname()));
}
