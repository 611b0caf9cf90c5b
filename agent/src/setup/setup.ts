import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { forgetOriginals, type Originals, readOriginals, writeOriginals } from './backup.ts';
import type { Service } from './pam-stacks.ts';
import { type Change, planSetup, planUndo, SSHD_FILE, SUDOERS_FILE, touchedFiles } from './plan.ts';
import { checkSshd, checkSudoers, type SelfTestDeps, selfTest, sshdProblem, sudoersProblem } from './self-test.ts';
import { putSnapshot, type Snapshot, sameSnapshot, takeSnapshot } from './snapshot.ts';

export interface SetupDeps extends SelfTestDeps {
  /** Folder of the backups. */
  backup: string;
  now(): number;
  print(line: string): void;
  /** Puts a change in place; tests make it fail. */
  put?: (path: string, snapshot: Snapshot | null) => Promise<void>;
}

/** True: done, or nothing to do. False: nothing is changed, and the reason was printed. */
type Done = boolean;

const WAY_BACK = [
  'Keep a root shell open until you have tried a second login and a sudo.',
  'The way back, also without the server:  identree setup --undo',
];

const show = (change: Change): string => {
  const lines = (snapshot: Snapshot | null) => (snapshot?.text ?? '').split('\n');
  const before = new Set(lines(change.before));
  const after = new Set(lines(change.after));
  const out = [`${change.path}${change.before === null ? ' (new)' : change.after === null ? ' (removed)' : ''}`];
  for (const line of lines(change.before)) if (!after.has(line)) out.push(`  - ${line}`);
  for (const line of lines(change.after)) if (!before.has(line)) out.push(`  + ${line}`);
  return out.join('\n');
};

async function snapshots(root: string, paths: readonly string[]): Promise<Map<string, Snapshot | null>> {
  return new Map(await Promise.all(paths.map(async (path) => [path, await takeSnapshot(join(root, path))] as const)));
}

/** Applies all changes, or none: what was done is put back when a later step fails. */
async function apply(changes: readonly Change[], deps: SetupDeps, check: () => Promise<string | null>): Promise<Done> {
  const put = deps.put ?? putSnapshot;
  const done: Change[] = [];
  let problem: string | null;
  try {
    for (const change of changes) {
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
    problem = await check();
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  if (problem === null) return true;
  deps.print(problem);
  for (const change of done.reverse()) await putSnapshot(join(deps.root, change.path), change.before);
  deps.print('Nothing is changed: everything was put back as it was.');
  return false;
}

async function afterwards(changes: readonly Change[], deps: SetupDeps): Promise<void> {
  const paths = changes.filter(({ after }) => after !== null).map(({ path }) => path);
  // A file that was replaced has lost its SELinux label.
  if (paths.length > 0) await deps.run('restorecon', paths);
  if (changes.some(({ path }) => path === SSHD_FILE)) {
    const ssh = await deps.run('systemctl', ['try-reload-or-restart', 'ssh.service']);
    const sshd = await deps.run('systemctl', ['try-reload-or-restart', 'sshd.service']);
    if (ssh.code !== 0 && sshd.code !== 0)
      deps.print('sshd could not be reloaded. Do it yourself: systemctl reload ssh');
  }
}

async function verify(changes: readonly Change[], deps: SetupDeps): Promise<string | null> {
  const touches = (path: string) => changes.some((change) => change.path === path);
  if (touches(SUDOERS_FILE)) {
    const written = changes.find(({ path }) => path === SUDOERS_FILE)?.after !== null;
    const problem = (await checkSudoers(deps.run)) ?? (written ? await sudoersProblem(deps.run) : null);
    if (problem !== null) return problem;
  }
  if (!touches(SSHD_FILE)) return null;
  const written = changes.find(({ path }) => path === SSHD_FILE)?.after !== null;
  return (await checkSshd(deps.run)) ?? (written ? await sshdProblem(deps.run) : null);
}

/** Lets identree decide for the services: plan, self-test, backup, apply, check, and back if anything is amiss. */
export async function setUp(
  services: readonly Service[],
  options: { dryRun: boolean },
  deps: SetupDeps,
): Promise<Done> {
  const { print } = deps;
  const files = await snapshots(deps.root, touchedFiles(services));
  const { changes, missing } = planSetup(services, files, { uid: deps.ownerUid, gid: deps.ownerUid });
  for (const service of missing) print(`There is no /etc/pam.d/${service}; left out.`);
  if (missing.length === services.length) {
    print('Nothing to set up.');
    return false;
  }
  if (changes.length === 0) {
    print('Already set up; nothing changes.');
    return true;
  }
  for (const line of WAY_BACK) print(line);
  print('');
  for (const change of changes) print(show(change));
  if (options.dryRun) {
    print('');
    print('Nothing was changed (--dry-run).');
    return true;
  }
  const problems = await selfTest(
    services.filter((service) => !missing.includes(service)),
    deps,
  );
  if (problems.length > 0) {
    print('');
    for (const problem of problems) print(problem);
    print('Nothing is changed: with this, nobody could log in or use sudo.');
    return false;
  }
  const originals: Originals = await readOriginals(deps.backup);
  for (const { path, before } of changes) if (!originals.has(path)) originals.set(path, before);
  await writeOriginals(deps.backup, originals, deps.now());
  if (!(await apply(changes, deps, () => verify(changes, deps)))) return false;
  await afterwards(changes, deps);
  print('');
  print('Done. Try a second login and a sudo now, before you close this shell.');
  return true;
}

/** Puts everything back as it was before the first setup. */
export async function undo(options: { dryRun: boolean }, deps: SetupDeps): Promise<Done> {
  const { print } = deps;
  const originals = await readOriginals(deps.backup);
  if (originals.size === 0) {
    print('Nothing is set up.');
    return true;
  }
  const { changes, edited } = planUndo(originals, await snapshots(deps.root, [...originals.keys()]));
  for (const path of edited) print(`${path} was edited since; only the identree block is taken out.`);
  for (const change of changes) print(show(change));
  if (options.dryRun) {
    print('Nothing was changed (--dry-run).');
    return true;
  }
  // A fault elsewhere in sudoers or sshd_config is told, but must not keep anybody behind the gate.
  const tell = async () => {
    const problem = await verify(changes, deps);
    if (problem !== null) print(problem);
    return null;
  };
  if (!(await apply(changes, deps, tell))) return false;
  await afterwards(changes, deps);
  await forgetOriginals(deps.backup);
  print('Done: everything is as it was before identree.');
  return true;
}
