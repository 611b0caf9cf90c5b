import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readGrants } from '../grants/read-grants.ts';
import { sayGrants } from '../grants/say-grants.ts';
import type { Run } from '../platform/run.ts';
import { restartSssd } from '../sssd/sssd-addition.ts';
import { removeLeftovers } from '../state/atomic-write.ts';
import type { Addition } from './addition.ts';
import { AUDIT_FILE, reloadAudit } from './auditd.ts';
import { forgetOriginals, type Originals, readOriginals, writeOriginals } from './backup.ts';
import type { DeadMan } from './dead-man.ts';
import type { Service } from './pam-stacks.ts';
import { type Change, planSetup, planUndo, SSHD_FILE, SUDOERS_FILE, touchedFiles } from './plan.ts';
import type { RevertTimer } from './revert-timer.ts';
import { checkSshd, checkSudoers, type SelfTestDeps, selfTest, sshdProblem, sudoersProblems } from './self-test.ts';
import { type FileSnapshot, isLink, putSnapshot, type Snapshot, sameSnapshot, takeSnapshot } from './snapshot.ts';
import { SUDO_CONF } from './sudo-conf.ts';
import { chooseGate, type GateChoice, pluginProblem, type SudoGate } from './sudo-gate.ts';
import { forgetUnconfirmed, readUnconfirmed, removeHalfWritten, somethingWaits, untilWhen } from './unconfirmed.ts';

export interface SetupDeps extends SelfTestDeps {
  /** Folder of the backups. */
  backup: string;
  now(): number;
  print(line: string): void;
  /** Puts back what nobody confirms; null: it was asked for without. */
  deadMan: DeadMan | null;
  /** Called off when everything is put back. */
  timer: Pick<RevertTimer, 'disarm'>;
  /** Puts a change in place; tests make it fail. */
  put?: (path: string, snapshot: Snapshot | null) => Promise<void>;
}

/** True: done, or nothing to do. False: nothing is changed, and the reason was printed. */
type Done = boolean;

const WAY_BACK = [
  'Keep a root shell open until you have tried a second login and a sudo.',
  'The way back, also without the server:  identree setup --undo',
];

/**
 * What is shown may be read over a shoulder, or in a log of this, such as the journal of what was put back: no password of
 * a configuration file belongs there, also of one that an administrator wrote, and where it is commented out.
 */
const masked = (line: string): string =>
  line.replace(
    /^([\s#;]*(?:ldap_default_authtok|bindpw|tls_keypw|\w+_(?:secret|password|passphrase|pin))(?=[\s=])\s*=?\s*)\S.*$/i,
    '$1********',
  );

export function show({ path, before, after }: Change): string {
  if (isLink(after)) return `${path} → ${after.link}${before === null ? ' (new)' : ' (in place of what is there)'}`;
  if (isLink(before)) return `${path} → ${before.link} (${after === null ? 'removed' : 'becomes a file again'})`;
  const out = [`${path}${before === null ? ' (new)' : after === null ? ' (removed)' : ''}`];
  // A key, perhaps, which was in the place of one of our links.
  if (/PRIVATE KEY/.test(`${before?.text}${after?.text}`)) return out.join('');
  const lines = (snapshot: FileSnapshot | null) => snapshot?.text.replace(/\n$/, '').split('\n') ?? [];
  const [had, has] = [lines(before), lines(after)];
  for (const line of had) if (!has.includes(line)) out.push(`  - ${masked(line)}`);
  for (const line of has) if (!had.includes(line)) out.push(`  + ${masked(line)}`);
  return out.join('\n');
}

export async function snapshots(root: string, paths: readonly string[]): Promise<Map<string, Snapshot | null>> {
  return new Map(await Promise.all(paths.map(async (path) => [path, await takeSnapshot(join(root, path))] as const)));
}

/** What is looked at while changes are put in place: a problem in words, or null. */
interface Checks {
  /** Once everything but PAM is in place, which switches the gate. */
  beforePam(): Promise<string | null>;
  check(): Promise<string | null>;
  putBack(changes: readonly Change[]): Promise<void>;
}

/** Applies all changes, or none: what was done is put back when a later step fails. */
async function apply(
  changes: readonly Change[],
  deps: SetupDeps,
  { beforePam, check, putBack }: Checks,
): Promise<Done> {
  const put = deps.put ?? putSnapshot;
  const done: Change[] = [];
  let problem: string | null;
  try {
    const isPam = ({ path }: Change) => path.startsWith('/etc/pam.d/');
    const pamFirst = changes.findIndex(isPam);
    for (const [index, change] of changes.entries()) {
      if (index === pamFirst) await must(beforePam);
      const path = join(deps.root, change.path);
      // What was planned for must still be what is there.
      if (!sameSnapshot(await takeSnapshot(path), change.before)) throw new Error(`${change.path} changed meanwhile.`);
      done.push(change);
      if (change.after !== null) await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      await put(path, change.after);
    }
    for (const change of changes) {
      const now = await takeSnapshot(join(deps.root, change.path));
      if (!sameSnapshot(now, change.after)) throw new Error(`${change.path} does not hold what was written.`);
    }
    if (pamFirst === -1) await must(beforePam);
    problem = await check();
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  if (problem === null) return true;
  deps.print(problem);
  for (const change of done.reverse()) await putSnapshot(join(deps.root, change.path), change.before);
  await putBack(done).catch((error: unknown) => deps.print(error instanceof Error ? error.message : String(error)));
  deps.print('Nothing is changed: everything was put back as it was.');
  return false;
}

/** @throws with the problem */
async function must(check: () => Promise<string | null>): Promise<void> {
  const problem = await check();
  if (problem !== null) throw new Error(problem);
}

/** Which gate sudo gets, and why. */
function gateWords(gate: SudoGate, choice: GateChoice): string {
  if (gate === 'plugin') return `The plugin in sudo asks: ${choice.why}.`;
  return choice.gate === 'plugin'
    ? 'The PAM stage asks for sudo, as --sudo pam says: what it will run is worked out from what was typed.'
    : `The PAM stage asks for sudo: ${choice.why}. What it will run is worked out from what was typed.`;
}

/** What somebody who has sshd ask must not find out later. */
const KEYS_PASS =
  'Logins with a key alone are not asked about, unless sshd_config says:  AuthenticationMethods publickey,keyboard-interactive:pam';

/** By the script of sshd that the distribution brings for other inits. */
async function reloadWithoutSystemd(run: Run): Promise<boolean> {
  for (const name of ['ssh', 'sshd']) if ((await run('service', [name, 'reload'])).code === 0) return true;
  return false;
}

export async function afterwards(changes: readonly Change[], deps: Pick<SetupDeps, 'run' | 'print'>): Promise<void> {
  const paths = changes.filter(({ after }) => after !== null).map(({ path }) => path);
  // A file that was replaced has lost its SELinux label.
  if (paths.length > 0) await deps.run('restorecon', paths);
  if (changes.some(({ path }) => path === SSHD_FILE)) {
    const ssh = await deps.run('systemctl', ['try-reload-or-restart', 'ssh.service']);
    const sshd = await deps.run('systemctl', ['try-reload-or-restart', 'sshd.service']);
    if (ssh.code !== 0 && sshd.code !== 0 && !(await reloadWithoutSystemd(deps.run)))
      deps.print('sshd could not be reloaded. Have it read its configuration again yourself.');
  }
}

export async function verify(changes: readonly Change[], deps: Pick<SetupDeps, 'run'>): Promise<string | null> {
  const touches = (path: string) => changes.some((change) => change.path === path);
  if (touches(SUDOERS_FILE)) {
    const written = changes.find(({ path }) => path === SUDOERS_FILE)?.after !== null;
    const problem = (await checkSudoers(deps.run)) ?? (written ? ((await sudoersProblems(deps.run))[0] ?? null) : null);
    if (problem !== null) return problem;
  }
  if (!touches(SSHD_FILE)) return null;
  const written = changes.find(({ path }) => path === SSHD_FILE)?.after !== null;
  return (await checkSshd(deps.run)) ?? (written ? await sshdProblem(deps.run) : null);
}

/**
 * Lets identree decide for the services, and does what is added: plan, self-test, backup, apply, check, and back if
 * anything is amiss.
 */
export async function setUp(
  services: readonly Service[],
  options: { dryRun: boolean; sudo?: SudoGate | null },
  deps: SetupDeps,
  addition: Addition | null = null,
): Promise<Done> {
  const { print } = deps;
  const { files: added = [], rewritten = [] } = addition ?? {};
  const files = await snapshots(deps.root, [...touchedFiles(services), ...added, ...rewritten]);
  const more = (await addition?.plan(files)) ?? { changes: [] };
  if ('problem' in more) {
    print(more.problem);
    print('Nothing is changed.');
    return false;
  }
  const gatesSudo = services.some((service) => service !== 'sshd');
  const choice: GateChoice = gatesSudo
    ? await chooseGate(deps.run)
    : { gate: 'pam', why: 'sudo stays as it is', noninteractive: false, wordsRefusal: false };
  if (options.sudo === 'plugin' && choice.gate === 'pam') {
    print(`--sudo plugin does not work here: ${choice.why}.`);
    print('Nothing is changed.');
    return false;
  }
  const gate = options.sudo ?? choice.gate;
  const owner = { uid: deps.ownerUid, gid: deps.ownerUid };
  const { noninteractive, wordsRefusal } = choice;
  const pam = planSetup(services, files, { gate, noninteractive, wordsRefusal, owner });
  for (const service of pam.missing) print(`There is no /etc/pam.d/${service}; left out.`);
  if (addition === null && pam.missing.length === services.length) {
    print('Nothing to set up.');
    return false;
  }
  // PAM last: the gate is switched when everything else is in place.
  const changes = [...more.changes, ...pam.changes];
  const waiting = await readUnconfirmed(deps.backup);
  if ((await readUnconfirmed(deps.backup, 'reverting')) !== null) {
    print('What an earlier setup changed is being put back. Finish that first:  identree setup --revert');
    return false;
  }
  if (waiting !== null && deps.deadMan === null) {
    print('What an earlier setup changed waits for somebody to confirm it. Do that first:  identree setup --confirm');
    return false;
  }
  // Nobody is locked out by what the kernel writes down.
  const deadMan = waiting === null && changes.every(({ path }) => path === AUDIT_FILE) ? null : deps.deadMan;
  const halfDone = waiting !== null && !waiting.whole;
  if (changes.length === 0 && !addition?.pending && !halfDone) {
    print('Already set up; nothing changes.');
    if (waiting !== null) print(untilWhen(waiting.until));
    return true;
  }
  for (const line of WAY_BACK) print(line);
  print('');
  if (gatesSudo) print(gateWords(gate, choice));
  if (services.includes('sshd')) print(KEYS_PASS);
  for (const change of changes) print(show(change));
  if (gatesSudo) {
    const grants = sayGrants(await readGrants(deps.root === '' ? '/' : deps.root), { gate });
    if (grants.length > 0)
      print(['', 'What this host grants besides:', ...grants.map((line) => `  ${line}`)].join('\n'));
  }
  if (options.dryRun) {
    print('');
    print('Nothing was changed (--dry-run).');
    return true;
  }
  const present = services.filter((service) => !pam.missing.includes(service));
  const problems = [...(await selfTest(present, deps)), ...((await addition?.selfTest()) ?? [])];
  // Only of a host that can ask its server, and that will depend on it.
  const proof = problems.length > 0 || present.length === 0 ? null : await deps.breakGlass();
  if (proof?.problem) problems.push(proof.problem);
  if (proof?.note) print(`\n${proof.note}`);
  if (problems.length > 0) {
    print('');
    for (const problem of problems) print(problem);
    print('Nothing is changed: with this, people could be locked out. Mend it, then run this again.');
    return false;
  }
  const known = await readOriginals(deps.backup);
  const originals: Originals = new Map(known);
  const rewrites = rewritten.map((path) => ({ path, before: files.get(path) ?? null, after: files.get(path) ?? null }));
  for (const { path, before } of [...changes, ...rewrites]) if (!originals.has(path)) originals.set(path, before);
  const fresh = [...originals.keys()].filter((path) => !known.has(path));
  await removeHalfWritten(deps.backup);
  // Before the originals: what is kept of them without a way to forget it, an undo would put in the place of later edits.
  const armed = (await deadMan?.arm([...changes, ...rewrites], fresh)) ?? null;
  if (armed !== null) {
    print('');
    print(armed);
    print('Nothing is changed.');
    return false;
  }
  try {
    await writeOriginals(deps.backup, originals, deps.now());
  } catch (error) {
    const left = (await deadMan?.abandon()) ?? null;
    if (left !== null) print(left);
    throw error;
  }
  // What was not set up must not be undone either: by then an administrator may have put it there.
  const forgetNew = () =>
    known.size === 0 ? forgetOriginals(deps.backup) : writeOriginals(deps.backup, known, deps.now());
  // With what an interrupted setup had put in place before.
  const touched = waiting !== null && !waiting.whole ? [...waiting.changes, ...changes] : changes;
  const beforePam = async () => {
    const switched = touched.findLast(({ path }) => path === SUDO_CONF)?.after;
    return switched && gate === 'plugin' ? pluginProblem(deps.run) : null;
  };
  const check = async () => (await verify(touched, deps)) ?? (await addition?.switchOver(touched)) ?? null;
  const putBack = async (done: readonly Change[]) => addition?.switchBack(done, files);
  if (!(await apply(changes, deps, { beforePam, check, putBack }))) {
    await forgetNew();
    const left = (await deadMan?.abandon()) ?? null;
    if (left !== null) print(left);
    return false;
  }
  // What an earlier setup had begun to write when it was killed.
  for (const { path } of touched) await removeLeftovers(join(deps.root, path));
  await afterwards(touched, deps);
  print('');
  if (deadMan !== null && !(await deadMan.finish())) {
    // As far back as all else is: an earlier setup that waited is put back with this one.
    const first = new Map(waiting?.changes.map(({ path, before }) => [path, before]));
    for (const { path, before } of [...changes].reverse())
      await putSnapshot(join(deps.root, path), first.has(path) ? first.get(path)! : before);
    await putBack(changes);
    print('This took too long: everything was put back meanwhile.');
    return false;
  }
  print('Done. Try a second login and a sudo now, before you close this shell.');
  for (const line of deadMan?.words() ?? []) print(line);
  return true;
}

async function nothingWaits({ backup, timer }: Pick<SetupDeps, 'backup' | 'timer'>): Promise<void> {
  await removeHalfWritten(backup);
  // Also what cannot be read any more: it keeps nobody from the way back.
  if (!(await somethingWaits(backup))) return;
  await forgetUnconfirmed(backup);
  await timer.disarm();
}

/** Puts everything back as it was before the first setup. */
export async function undo(options: { dryRun: boolean }, deps: SetupDeps): Promise<Done> {
  const { print } = deps;
  const originals = await readOriginals(deps.backup);
  if (originals.size === 0) {
    print('Nothing is set up.');
    if (!options.dryRun) await nothingWaits(deps);
    return true;
  }
  const files = await snapshots(deps.root, [...originals.keys()]);
  const { changes, edited } = planUndo(originals, files);
  for (const path of edited) print(`${path} was edited since; only what is identree's is taken out.`);
  for (const change of changes) print(show(change));
  if (options.dryRun) {
    print('Nothing was changed (--dry-run).');
    return true;
  }
  // A fault elsewhere in sudoers or sshd_config is told, but must not keep anybody behind the gate.
  const tell = async () => {
    const problem = await verify(changes, deps);
    if (problem !== null) print(problem);
    await restartSssd(changes, deps);
    await reloadAudit(changes, deps, originals);
    return null;
  };
  const steps = {
    beforePam: async () => null,
    check: tell,
    putBack: async (done: readonly Change[]) => {
      await restartSssd(done, deps);
      await reloadAudit(done, deps, files);
    },
  };
  if (!(await apply(changes, deps, steps))) return false;
  await afterwards(changes, deps);
  for (const path of originals.keys()) await removeLeftovers(join(deps.root, path));
  await forgetOriginals(deps.backup);
  await nothingWaits(deps);
  print('Done: everything is as it was before identree.');
  return true;
}
