import { hostname } from 'node:os';
import type { SudoGate } from '../setup/sudo-gate.ts';
import { doasGrants } from './doas.ts';
import { type Grant, sortGrants } from './grant.ts';
import { groupGrants } from './groups.ts';
import { createHostFiles, type HostFiles } from './host-files.ts';
import { wheelGrants } from './pam-wheel.ts';
import { polkitGrants } from './polkit/polkit-grants.ts';
import { readSudoGate, sudoersFile } from './sudo-conf.ts';
import { readSudoers } from './sudoers/read-sudoers.ts';
import { sudoersGrants } from './sudoers/sudoers-grants.ts';

/** sudo-rs reads this one in place of the other when it is there. */
const SUDOERS_RS = '/etc/sudoers-rs';

/** On Debian the folder of polkit's rules belongs to the account that polkit runs as. */
async function uidOf(files: HostFiles, account: string): Promise<number | null> {
  const found = await files.read('/etc/passwd');
  if (found === null || 'problem' in found) return null;
  const uid = new RegExp(`^${account}:[^:]*:(\\d+):`, 'm').exec(found.text)?.[1];
  return uid === undefined ? null : Number(uid);
}

/**
 * Everything that gives power on this host besides identree, as its files say. What another program decides while it
 * runs, and what a directory gives, is not in them.
 *
 * @param root folder of the host's files; `/` on the host itself.
 * @param shortName what `%h` in sudoers stands for.
 */
export async function readGrants(root: string, shortName = hostname().split('.')[0]!): Promise<Grant[]> {
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
  return sortGrants(found.flat());
}

/** Where sudo on this host asks identree. */
export const readGate = (root: string): Promise<SudoGate> => readSudoGate(createHostFiles(root));
