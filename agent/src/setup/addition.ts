import { LINK_TARGETS } from '../certificates/links.ts';
import type { Change } from './plan.ts';
import { isLink, type Snapshot } from './snapshot.ts';

/** What setup does beside PAM. The same plan, backup, switch and rollback hold for it. */
export interface Addition {
  /** Every file that it may touch. */
  files: readonly string[];
  /** Files that programs write anew which it runs: they are not planned, and are put back all the same. */
  rewritten?: readonly string[];
  /** What to change; or why nothing may be. */
  plan(files: ReadonlyMap<string, Snapshot | null>): Promise<{ changes: Change[] } | { problem: string }>;
  /** True when something has to be switched although no file changes. */
  pending: boolean;
  /** Everything that has to work before; what does not, in words. */
  selfTest(): Promise<string[]>;
  /** Makes what was written count, and looks whether it works. Null: it does. */
  switchOver(changes: readonly Change[]): Promise<string | null>;
  /** After everything was put back. @param before what was there of everything that it may touch */
  switchBack(changes: readonly Change[], before: ReadonlyMap<string, Snapshot | null>): Promise<void>;
}

/** The paths that sssd.conf names for certificate, key and authorities. */
export function linkChanges(files: ReadonlyMap<string, Snapshot | null>): Change[] {
  return Object.entries(LINK_TARGETS).flatMap(([path, link]) => {
    const before = files.get(path) ?? null;
    return isLink(before) && before.link === link ? [] : [{ path, before, after: { link } }];
  });
}

/** Several as one: planned and tried together, put in place in this order, and none without the others. */
export function joinAdditions(all: readonly Addition[]): Addition | null {
  const [only] = all;
  if (all.length < 2) return only ?? null;
  return {
    files: all.flatMap(({ files }) => files),
    rewritten: all.flatMap(({ rewritten = [] }) => rewritten),
    async plan(files) {
      const changes: Change[] = [];
      for (const addition of all) {
        const planned = await addition.plan(files);
        if ('problem' in planned) return planned;
        changes.push(...planned.changes);
      }
      return { changes };
    },
    pending: all.some(({ pending }) => pending),
    selfTest: async () => (await Promise.all(all.map((addition) => addition.selfTest()))).flat(),
    async switchOver(changes) {
      for (const addition of all) {
        const problem = await addition.switchOver(changes);
        if (problem !== null) return problem;
      }
      return null;
    },
    async switchBack(changes, before) {
      for (const addition of all) await addition.switchBack(changes, before);
    },
  };
}
