import { NSSWITCH_FILE, originalNsswitch } from '../sssd/nsswitch.ts';
import { SSSD_FILE } from '../sssd/sssd-conf.ts';
import { SUDO_LDAP_FILE } from '../sssd/sudo-ldap-conf.ts';
import { BrokenBlock, withBlock, withBlockOnTop, withoutBlock } from './marked-block.ts';
import { pamFile, type Service, SSHD_TEXT, stackLines, sudoersText } from './pam-stacks.ts';
import { type FileSnapshot, isLink, type Snapshot, sameSnapshot } from './snapshot.ts';
import { SUDO_CONF } from './sudo-conf.ts';
import { SUDO_CONF_LINES, type SudoGate } from './sudo-gate.ts';

/** One file that changes. Paths are as on the host, without the prefix of a test tree. */
export interface Change {
  path: string;
  before: Snapshot | null;
  after: Snapshot | null;
}

export const SUDOERS_FILE = '/etc/sudoers.d/identree';
export const SSHD_FILE = '/etc/ssh/sshd_config.d/50-identree.conf';

/** Every file that setup may touch for these services. */
export function touchedFiles(services: readonly Service[]): string[] {
  const sudo = services.some((service) => service !== 'sshd');
  return [
    ...(sudo ? [SUDOERS_FILE, SUDO_CONF] : []),
    ...(services.includes('sshd') ? [SSHD_FILE] : []),
    ...services.map(pamFile),
  ];
}

const ROOT_FILE = (text: string, mode: number): FileSnapshot => ({ text, mode, uid: 0, gid: 0 });

/** A file that is edited has to be one: replacing a link would not change what it leads to. @throws */
export function editable(path: string, snapshot: Snapshot | null): FileSnapshot | null {
  if (isLink(snapshot)) throw new Error(`${path} is a symbolic link (authselect?). identree does not edit it.`);
  return snapshot;
}

/**
 * What to change so that identree decides for the services. Settings come first and PAM last, so that the gate is
 * switched when everything it needs is in place. A service without a file is left out.
 *
 * @param options.gate who asks for sudo.
 * @param options.noninteractive whether the sudo of this host can ask PAM under `sudo -n`.
 * @param options.wordsRefusal whether it can be told what to say of a no
 * @param options.owner of new files; root on a host.
 */
export function planSetup(
  services: readonly Service[],
  files: ReadonlyMap<string, Snapshot | null>,
  {
    gate,
    noninteractive,
    wordsRefusal,
    owner,
  }: { gate: SudoGate; noninteractive: boolean; wordsRefusal: boolean; owner: { uid: number; gid: number } },
): { changes: Change[]; missing: Service[] } {
  const present = services.filter((service) => files.get(pamFile(service)) != null);
  const wanted = new Map<string, FileSnapshot>();
  if (present.some((service) => service !== 'sshd')) {
    const text = sudoersText({
      noninteractive: gate === 'plugin' && noninteractive,
      wordsRefusal: gate === 'pam' && wordsRefusal,
    });
    wanted.set(SUDOERS_FILE, { ...ROOT_FILE(text, 0o440), ...owner });
    const conf = editable(SUDO_CONF, files.get(SUDO_CONF) ?? null);
    const { text: confText, ...rest } = conf ?? { ...ROOT_FILE('', 0o644), ...owner };
    const after = gate === 'plugin' ? withBlockOnTop(confText, SUDO_CONF_LINES) : withoutBlock(confText);
    if (conf !== null || after !== '') wanted.set(SUDO_CONF, { ...rest, text: after });
  }
  if (present.includes('sshd')) wanted.set(SSHD_FILE, { ...ROOT_FILE(SSHD_TEXT, 0o644), ...owner });
  for (const service of present) {
    const before = editable(pamFile(service), files.get(pamFile(service))!)!;
    wanted.set(pamFile(service), { ...before, text: withBlock(before.text, stackLines(service)) });
  }
  const changes = [...wanted].map(([path, after]) => ({
    path,
    before: editable(path, files.get(path) ?? null),
    after,
  }));
  return {
    changes: changes.filter(({ before, after }) => before?.text !== after.text || before.mode !== after.mode),
    missing: services.filter((service) => !present.includes(service)),
  };
}

/** How files begin that are identree's as a whole. */
export const MANAGED = '# Managed by identree';
const isManaged = (path: string): boolean => path === SSSD_FILE || path === SUDO_LDAP_FILE;

/** The gate goes before its settings, and names are looked up elsewhere before sssd loses its configuration. */
const rank = (path: string): number => (path.startsWith('/etc/pam.d/') ? 0 : path === NSSWITCH_FILE ? 1 : 2);

/** Files that others write too: only our lines in them are ours. */
const isShared = (path: string): boolean => rank(path) < 2 || path === SUDO_CONF;

/**
 * What to change to undo: a file that has only our lines more than its original becomes the original, mode and owner
 * included; one that was edited since loses our lines and keeps the edits. Files that are ours as a whole go.
 */
export function planUndo(
  originals: ReadonlyMap<string, Snapshot | null>,
  files: ReadonlyMap<string, Snapshot | null>,
): { changes: Change[]; edited: string[] } {
  const changes: Change[] = [];
  const edited: string[] = [];
  const paths = [...originals.keys()].sort((a, b) => rank(a) - rank(b));
  for (const path of paths) {
    const original = originals.get(path) ?? null;
    const before = files.get(path) ?? null;
    if (before === null && path.startsWith('/etc/pam.d/')) {
      // Removed since by an administrator, perhaps with the whole service. Its return is not ours to decide.
      edited.push(path);
      continue;
    }
    // An administrator has put their own there since.
    if (isManaged(path) && before !== null && !isLink(before) && !before.text.startsWith(MANAGED)) {
      edited.push(path);
      continue;
    }
    let after = original;
    if (before !== null && isShared(path)) {
      if (isLink(before)) {
        edited.push(path);
        continue;
      }
      const text = original === null || isLink(original) ? null : original.text;
      const bare = path === NSSWITCH_FILE ? originalNsswitch(before.text, text ?? '') : withoutBlock(before.text);
      if (bare !== (text ?? '')) {
        edited.push(path);
        after = { ...before, text: bare };
      }
    }
    if (!sameSnapshot(before, after)) changes.push({ path, before, after });
  }
  return { changes, edited };
}

/**
 * What to change so that files are what they were before these changes. A file that was edited since loses our lines and
 * keeps the edits, as in {@link planUndo}; one in which they are not to be told apart any more becomes what it was, since
 * half of our lines may keep everybody out.
 */
export function planRevert(
  done: readonly Change[],
  files: ReadonlyMap<string, Snapshot | null>,
): { changes: Change[]; edited: string[]; replaced: string[] } {
  const changes: Change[] = [];
  const edited: string[] = [];
  const replaced: string[] = [];
  for (const { path, before: after, after: left } of done) {
    const before = files.get(path) ?? null;
    if (sameSnapshot(before, after)) continue;
    if (sameSnapshot(before, left)) {
      changes.push({ path, before, after });
      continue;
    }
    try {
      const undone = planUndo(new Map([[path, after]]), files);
      changes.push(...undone.changes);
      edited.push(...undone.edited);
    } catch (error) {
      if (!(error instanceof BrokenBlock)) throw error;
      changes.push({ path, before, after });
      replaced.push(path);
    }
  }
  return { changes: changes.sort((a, b) => rank(a.path) - rank(b.path)), edited, replaced };
}
