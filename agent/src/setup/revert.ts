import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { restartSssd } from '../sssd/sssd-addition.ts';
import { removeLeftovers } from '../state/atomic-write.ts';
import { reloadAudit } from './auditd.ts';
import { forgetOriginals, readOriginals, writeOriginals } from './backup.ts';
import { planRevert } from './plan.ts';
import { afterwards, type SetupDeps, show, verify } from './setup.ts';
import { putSnapshotSomehow, type Snapshot, takeSnapshot } from './snapshot.ts';
import { claimForRevert, forgetUnconfirmed, removeHalfWritten } from './unconfirmed.ts';

export type RevertDeps = Pick<SetupDeps, 'root' | 'run' | 'backup' | 'timer' | 'now' | 'print' | 'put'> & {
  /** Makes this the directory that is used, as it stood in the state folder; null: none. */
  putDirectory(text: string | null): Promise<void>;
};

/**
 * Puts back what nobody confirmed. Whatever it cannot do, it does the rest: each file that is put back may be the one by
 * which somebody gets in. It can be interrupted anywhere and run again.
 *
 * @returns false when something is left to do.
 */
export async function revert(deps: RevertDeps): Promise<boolean> {
  const { print, put = putSnapshotSomehow } = deps;
  const claimed = await claimForRevert(deps.backup);
  if (claimed === null) {
    print('Nothing waits to be confirmed.');
    await removeHalfWritten(deps.backup);
    await deps.timer.disarm();
    return true;
  }
  const paths = claimed.changes.map(({ path }) => path);
  const problems: string[] = [];
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  };
  const files = new Map<string, Snapshot | null>();
  for (const path of paths) await attempt(async () => files.set(path, await takeSnapshot(join(deps.root, path))));
  const readable = claimed.changes.filter(({ path }) => files.has(path));
  const { changes, edited, replaced } = planRevert(readable, files);
  for (const path of edited) print(`${path} was edited since; only what is identree's is taken out.`);
  for (const path of replaced)
    print(`${path} was edited since, and what is identree's in it has no end: it becomes what it was before.`);
  let isAnyBack = false;
  for (const change of changes) {
    print(show(change));
    const path = join(deps.root, change.path);
    await attempt(async () => {
      // A package may have been taken away meanwhile.
      if (change.after !== null) await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      await put(path, change.after);
      isAnyBack = true;
    });
  }
  const stuck = problems.length;
  // It is kept, and so is the timer: the next attempt goes on here.
  if (stuck > 0 && !isAnyBack) {
    for (const problem of problems) print(problem);
    return false;
  }
  // Also when a file is stuck: sshd and sssd still go by what was there before the others came back.
  await attempt(async () => {
    const fault = await verify(changes, deps);
    if (fault !== null) print(fault);
  });
  const told = claimed.changes.map(({ path, before, after }) => ({ path, before: after, after: before }));
  await attempt(() => restartSssd(told, deps));
  await attempt(() => reloadAudit(told, deps, new Map(claimed.changes.map(({ path, before }) => [path, before]))));
  await attempt(() => afterwards(told, deps));
  if (stuck === 0) await attempt(() => deps.putDirectory(claimed.directory));
  await attempt(async () => {
    if (stuck > 0) return;
    const originals = await readOriginals(deps.backup);
    for (const path of claimed.added) originals.delete(path);
    await (originals.size === 0 ? forgetOriginals(deps.backup) : writeOriginals(deps.backup, originals, deps.now()));
  });
  if (problems.length > 0) {
    for (const problem of problems) print(problem);
    return false;
  }
  for (const path of paths) await removeLeftovers(join(deps.root, path));
  await removeHalfWritten(deps.backup);
  await forgetUnconfirmed(deps.backup);
  print('Nobody confirmed what setup changed: everything is as it was before.');
  await deps.timer.disarm();
  return true;
}
