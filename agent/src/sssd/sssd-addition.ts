import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#shared/digest.ts';
import { accountName } from '#shared/names.ts';
import { LINK_TARGETS } from '../certificates/links.ts';
import type { Clock } from '../platform/clock.ts';
import type { Run } from '../platform/run.ts';
import { type Addition, linkChanges } from '../setup/addition.ts';
import type { Change } from '../setup/plan.ts';
import {
  type FileSnapshot,
  isLink,
  putSnapshot,
  type Snapshot,
  sameSnapshot,
  takeSnapshot,
} from '../setup/snapshot.ts';
import { type Database, isAuthselect, NSSWITCH_FILE, withService } from './nsswitch.ts';
import type { ProbeResult } from './probe.ts';
import { SSSD_FILE } from './sssd-conf.ts';

const DATABASES: readonly Database[] = ['passwd', 'group', 'sudoers'];

/** sssd has this long to find the directory once it was restarted. */
const ONLINE_MS = 60_000;
const LOOK_MS = 500;
const NUDGE_MS = 5000;

export interface SssdDeps {
  /** Prefix of the file tree; '' on a host. */
  root: string;
  run: Run;
  ownerUid: number;
  print(line: string): void;
  clock: Pick<Clock, 'monotonic' | 'sleep'>;
}

export interface SssdInput {
  /** What sssd.conf is to hold. */
  text: string;
  /** SHA-256 of what identree wrote there last; null when it never did. */
  written: string | null;
  /** Replace a file that is not identree's. */
  force: boolean;
  /** What the directory answers to exactly these settings. */
  probe(): Promise<ProbeResult>;
  /** Files behind the links have changed, so that sssd has to read them anew. */
  pending: boolean;
}

/** What `systemctl enable` makes of a service that was installed and turned off. */
const ENABLED = '/etc/systemd/system/multi-user.target.wants/sssd.service';

const NEEDED: readonly (readonly [file: string, what: string])[] = [
  ['libsss_ldap.so', 'sssd for LDAP (package sssd-ldap)'],
  ['libnss_sss.so.2', 'the name service of sssd (package libnss-sss, or sssd-client)'],
  ['libsss_sudo.so', 'the sudo rules of sssd (package libsss-sudo)'],
];

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (info) => info.isFile(),
    () => false,
  );

/** Folders in which a distribution keeps libraries, with what sssd loads from below them. */
async function libraryFolders(root: string): Promise<string[]> {
  const multiarch = (await readdir(join(root, '/usr/lib')).catch(() => [])).filter((name) => name.includes('-linux-'));
  const folders = ['/usr/lib64', '/usr/lib', '/lib64', '/lib', ...multiarch.map((name) => `/usr/lib/${name}`)];
  return folders.flatMap((folder) => [folder, `${folder}/sssd`]);
}

async function missingPackages(root: string): Promise<string[]> {
  const folders = await libraryFolders(root);
  const problems: string[] = [];
  if (!(await isFile(join(root, '/usr/sbin/sssd')))) problems.push('sssd is not installed.');
  for (const [file, what] of NEEDED) {
    const found = await Promise.all(folders.map((folder) => isFile(join(root, folder, file))));
    if (!found.includes(true)) problems.push(`Not installed: ${what}.`);
  }
  return problems;
}

/** sssd.conf as it is to be, unless one that identree did not write is in the way. */
function planConf(
  before: Snapshot | null,
  input: SssdInput,
  owner: number,
): { changes: Change[] } | { problem: string } {
  if (isLink(before)) return { problem: `${SSSD_FILE} is a symbolic link. identree does not replace it.` };
  const text = Buffer.from(input.text, 'utf8').toString('latin1');
  // Newer versions of sssd open the file for their own group at each start.
  const isOpen = before !== null && (before.mode & 0o037) !== 0;
  if (before?.text === text && !isOpen) return { changes: [] };
  const isOurs =
    before === null || (input.written !== null && sha256(Buffer.from(before.text, 'latin1')) === input.written);
  if (!isOurs && !input.force) {
    return {
      problem: [
        `${SSSD_FILE} is not as identree wrote it, so it stays as it is.`,
        'To have identree replace it, add --force. Undo brings it back to the byte.',
      ].join('\n'),
    };
  }
  const after: FileSnapshot = { text, mode: 0o600, uid: owner, gid: owner };
  return { changes: [{ path: SSSD_FILE, before, after }] };
}

async function planNsswitch(
  root: string,
  before: Snapshot | null,
  owner: number,
): Promise<{ changes: Change[] } | { problem: string }> {
  const text = await readFile(join(root, NSSWITCH_FILE), 'latin1').catch(() => '');
  const after = withService(text, DATABASES, 'sss');
  if (after === text) return { changes: [] };
  if (isLink(before) || isAuthselect(text)) {
    return {
      problem: [
        `${NSSWITCH_FILE} is managed by authselect, which would undo what is changed by hand.`,
        'Run this first, then setup again:  authselect select sssd with-sudo',
      ].join('\n'),
    };
  }
  const kept = before ?? { mode: 0o644, uid: owner, gid: owner };
  return { changes: [{ path: NSSWITCH_FILE, before, after: { ...kept, text: after } }] };
}

/** Makes sssd use the directory, and nsswitch.conf use sssd. */
export function createSssdAddition(input: SssdInput, deps: SssdDeps): Addition {
  const { run, print, clock } = deps;
  let person: string | null = null;

  /** Asks sssd alone for a person whom the directory knows. */
  async function whyOffline(name: string): Promise<string | null> {
    const end = clock.monotonic() + ONLINE_MS;
    let nudged = clock.monotonic();
    for (;;) {
      if ((await run('getent', ['-s', 'sss', 'passwd', name])).code === 0) return null;
      if (clock.monotonic() >= end) break;
      if (clock.monotonic() - nudged > NUDGE_MS) {
        // sssd(8): go online now, instead of waiting for the next look.
        await run('systemctl', ['kill', '--kill-who=main', '--signal=SIGUSR2', 'sssd.service']);
        nudged = clock.monotonic();
      }
      await clock.sleep(LOOK_MS);
    }
    return `sssd runs but does not know ${name}, whom the directory knows. Look at: journalctl -u sssd; /var/log/sssd`;
  }

  return {
    files: [...Object.keys(LINK_TARGETS), SSSD_FILE, NSSWITCH_FILE],
    rewritten: [ENABLED],
    pending: input.pending,
    async plan(files) {
      const conf = planConf(files.get(SSSD_FILE) ?? null, input, deps.ownerUid);
      if ('problem' in conf) return conf;
      const nsswitch = await planNsswitch(deps.root, files.get(NSSWITCH_FILE) ?? null, deps.ownerUid);
      if ('problem' in nsswitch) return nsswitch;
      const more = (await readdir(join(deps.root, '/etc/sssd/conf.d')).catch(() => [])).filter((name) =>
        /^[^.].*\.conf$/.test(name),
      );
      if (more.length > 0) print(`Also read by sssd, and left as it is: /etc/sssd/conf.d/${more.join(', ')}`);
      return { changes: [...linkChanges(files), ...conf.changes, ...nsswitch.changes] };
    },
    async selfTest() {
      const missing = await missingPackages(deps.root);
      if (missing.length > 0) return missing;
      const systemd = await run('systemctl', ['cat', 'sssd.service']);
      if (systemd.code !== 0) return ['sssd is no service of systemd here, so it could not be started.'];
      const probed = await input.probe();
      if (!probed.ok) return [probed.problem];
      person = probed.person !== null && accountName.safeParse(probed.person).success ? probed.person : null;
      return [];
    },
    async switchOver(changes) {
      const written = changes.filter(({ after }) => after !== null).map(({ path }) => path);
      // Before sssd starts: what was replaced has lost its SELinux label.
      if (written.length > 0) await run('restorecon', written);
      const started = await control(run, 'restart');
      if (started.code !== 0) {
        const { output } = await run('journalctl', ['-u', 'sssd.service', '-n', '5', '--no-pager', '-o', 'cat']);
        return `sssd does not start with this configuration:\n${output}`;
      }
      if (person === null) print('The directory knows nobody yet, so it was not tried whether sssd finds somebody.');
      const problem = person === null ? null : await whyOffline(person);
      if (problem !== null) return problem;
      const { output } = await run('systemctl', ['is-enabled', 'sssd.service']);
      if (output.trim() === 'disabled') await run('systemctl', ['enable', 'sssd.service']);
      return null;
    },
    async switchBack(changes, before) {
      const path = join(deps.root, ENABLED);
      const now = await takeSnapshot(path);
      const wanted = before.get(ENABLED) ?? null;
      if (!sameSnapshot(now, wanted)) await putSnapshot(path, wanted);
      await restartSssd([...changes, { path: ENABLED, before: now, after: wanted }], deps);
    },
  };
}

/** systemd refuses the sixth start within a minute, no matter who asks for it. */
export async function control(run: Run, verb: 'restart' | 'try-restart' | 'stop'): ReturnType<Run> {
  await run('systemctl', ['reset-failed', 'sssd.service']);
  return run('systemctl', [verb, 'sssd.service']);
}

/** After files were put back: sssd goes on with the configuration that it had, or not at all. */
export async function restartSssd(
  changes: readonly Change[],
  deps: Pick<SssdDeps, 'root' | 'run' | 'print'>,
): Promise<void> {
  // The link alone is not all of it: Debian keeps one for each runlevel too.
  if (changes.some(({ path, after }) => path === ENABLED && after === null))
    await deps.run('systemctl', ['disable', 'sssd.service']);
  if (!changes.some(({ path }) => path === SSSD_FILE)) return;
  const verb = (await isFile(join(deps.root, SSSD_FILE))) ? 'restart' : 'stop';
  const { code, output } = await control(deps.run, verb);
  if (code !== 0 && verb === 'restart') deps.print(`sssd could not be restarted: ${output}`);
}
