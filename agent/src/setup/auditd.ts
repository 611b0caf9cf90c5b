import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Run } from '../platform/run.ts';
import type { Addition } from './addition.ts';
import type { Change } from './plan.ts';
import { isLink, putSnapshot, type Snapshot, sameSnapshot, takeSnapshot } from './snapshot.ts';

export const AUDIT_FILE = '/etc/audit/rules.d/identree.rules';

/** What augenrules makes of all rules, and what it keeps of before. */
const MADE = ['/etc/audit/audit.rules', '/etc/audit/audit.rules.prev'] as const;

const PROGRAM = '/usr/bin/identree';

/** What this host has that is worth a record of the kernel. */
export interface Audited {
  config: string;
  breakGlassFile: string;
  /** Wrong passwords, counted. */
  attempts: string;
  /** What was done with the password. */
  journal: string;
  /** Who this host is, whom it believes, and the key it signs with. */
  identity: readonly string[];
  apiKey: string;
  /** Folder of the client certificate and its key. */
  certificates: string;
  sshd: boolean;
  sssd: boolean;
}

interface Watch {
  path: string;
  /** Of auditctl(8): r, w, a. */
  perm: 'r' | 'wa';
  key: string;
  /**
   * Reads that are daily work are left out, or nobody would look at the others: those of the program itself, or of
   * everything that nobody's login has started.
   */
  but?: 'identree' | 'daemons';
}

/** What is watched, by the keys under which `ausearch -k` finds it. */
function watches(audited: Audited): Watch[] {
  const changed = (key: string, paths: readonly string[]): Watch[] => paths.map((path) => ({ path, perm: 'wa', key }));
  const keyReaders = audited.sssd ? 'daemons' : 'identree';
  return [
    { path: audited.breakGlassFile, perm: 'r', key: 'identree-breakglass', but: 'identree' },
    ...changed('identree-breakglass', [audited.breakGlassFile, audited.attempts]),
    ...changed('identree-breakglass-report', [audited.journal]),
    ...changed('identree-config', [dirname(audited.config), ...audited.identity]),
    ...changed('identree-pam-config', ['/etc/pam.d']),
    ...changed('identree-sudo-config', ['/etc/sudoers', '/etc/sudoers.d', '/etc/sudo.conf']),
    ...(audited.sshd ? changed('identree-ssh-config', ['/etc/ssh/sshd_config', '/etc/ssh/sshd_config.d']) : []),
    ...changed('identree-sssd-config', ['/etc/nsswitch.conf', ...(audited.sssd ? ['/etc/sssd'] : [])]),
    { path: audited.apiKey, perm: 'r', key: 'identree-mtls-key', but: 'identree' },
    { path: audited.certificates, perm: 'r', key: 'identree-mtls-key', but: keyReaders },
    ...changed('identree-program', [PROGRAM, '/usr/lib/identree']),
  ];
}

/** Who writes a path with a space into a rule writes another rule. @throws */
function plain(path: string): string {
  if (!/^\/[A-Za-z0-9._/@+-]*$/.test(path)) throw new Error(`auditd has no way to name ${JSON.stringify(path)}.`);
  return path;
}

/** @param folders which of the paths are folders: the kernel wants to know. */
export function auditRules(audited: Audited, folders: ReadonlySet<string>): string {
  const lines = watches(audited).map(({ path, perm, key, but }) => {
    const where = `${folders.has(path) ? 'dir' : 'path'}=${plain(path)}`;
    const except = but === undefined ? [] : [but === 'identree' ? `exe!=${PROGRAM}` : 'auid!=unset'];
    return `-a always,exit ${[where, `perm=${perm}`, ...except, `key=${key}`].map((field) => `-F ${field}`).join(' ')}`;
  });
  return `${['# Managed by identree; removed by: identree setup --undo', ...lines].join('\n')}\n`;
}

export interface AuditDeps {
  root: string;
  run: Run;
  ownerUid: number;
  print(line: string): void;
}

/** Null: the kernel has them. */
async function load(run: Run, keys: readonly string[]): Promise<string | null> {
  const { code, output } = await run('augenrules', ['--load']);
  if (code !== 0) return `augenrules does not load the rules: ${output}`;
  const loaded = await run('auditctl', ['-l']);
  const missing = keys.filter((key) => !loaded.output.includes(key));
  return missing.length === 0
    ? null
    : `auditd did not take the rules: ${missing.join(', ')} are not among those of auditctl -l`;
}

/** Rules that cannot change until the machine starts anew. */
const isLocked = async (run: Run): Promise<boolean> => /^enabled 2$/m.test((await run('auditctl', ['-s'])).output);

/**
 * After files were put back: the kernel forgets the rules that are gone. augenrules then makes its own files anew and
 * keeps what was there, with our rules; these become what they were before identree, too.
 *
 * @param before of files that were there before; others are left alone
 */
export async function reloadAudit(
  changes: readonly Change[],
  { root, run }: Pick<AuditDeps, 'root' | 'run'>,
  before: ReadonlyMap<string, Snapshot | null>,
): Promise<void> {
  if (!changes.some(({ path }) => path === AUDIT_FILE)) return;
  if (!(await isLocked(run))) await run('augenrules', ['--load']);
  for (const path of MADE) {
    const wanted = before.get(path);
    if (wanted !== undefined && !sameSnapshot(await takeSnapshot(join(root, path)), wanted))
      await putSnapshot(join(root, path), wanted);
  }
}

/** Rules of auditd from what is configured. Without auditd there is nothing to do, and that is said. */
export function createAuditAddition(audited: Audited, deps: AuditDeps): Addition {
  const { root, run, ownerUid, print } = deps;
  const keys = [...new Set(watches(audited).map(({ key }) => key))];
  const kind = (path: string) =>
    stat(join(root, path)).then(
      (info) => (info.isDirectory() ? 'folder' : 'file'),
      () => null,
    );
  return {
    files: [AUDIT_FILE],
    rewritten: MADE,
    async plan(files: ReadonlyMap<string, Snapshot | null>) {
      if ((await run('augenrules', ['--check'])).code === 127) {
        print('auditd is not installed (there is no augenrules), so there are no rules for it.');
        return { changes: [] };
      }
      const before = files.get(AUDIT_FILE) ?? null;
      if (isLink(before)) return { problem: `${AUDIT_FILE} is a symbolic link. identree does not replace it.` };
      const folders = new Set<string>();
      for (const { path } of watches(audited)) if ((await kind(path)) === 'folder') folders.add(path);
      try {
        const text = auditRules(audited, folders);
        if (before?.text === text && before.mode === 0o640) return { changes: [] };
        const after = { text, mode: 0o640, uid: ownerUid, gid: ownerUid };
        return { changes: [{ path: AUDIT_FILE, before, after }] };
      } catch (error) {
        return { problem: (error as Error).message };
      }
    },
    pending: false,
    selfTest: async () => [],
    async switchOver(changes) {
      if (!changes.some(({ path }) => path === AUDIT_FILE)) return null;
      if (!(await isLocked(run))) return load(run, keys);
      print('The rules of auditd are locked until the machine starts anew; these count from then on.');
      return null;
    },
    switchBack: (changes, before) => reloadAudit(changes, { root, run }, before),
  };
}
