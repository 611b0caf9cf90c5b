import { LINK_TARGETS } from '../certificates/links.ts';
import type { Change } from './plan.ts';
import { isLink, type Snapshot } from './snapshot.ts';

/** What setup does beside PAM. The same plan, backup, switch and rollback hold for it. */
export interface Addition {
  /** Every file that it may touch. */
  files: readonly string[];
  /** What to change; or why nothing may be. */
  plan(files: ReadonlyMap<string, Snapshot | null>): Promise<{ changes: Change[] } | { problem: string }>;
  /** True when something has to be switched although no file changes. */
  pending: boolean;
  /** Everything that has to work before; what does not, in words. */
  selfTest(): Promise<string[]>;
  /** Makes what was written count, and looks whether it works. Null: it does. */
  switchOver(changes: readonly Change[]): Promise<string | null>;
  /** After everything was put back. */
  switchBack(changes: readonly Change[]): Promise<void>;
}

/** The paths that sssd.conf names for certificate, key and authorities. */
export function linkChanges(files: ReadonlyMap<string, Snapshot | null>): Change[] {
  return Object.entries(LINK_TARGETS).flatMap(([path, link]) => {
    const before = files.get(path) ?? null;
    return isLink(before) && before.link === link ? [] : [{ path, before, after: { link } }];
  });
}
