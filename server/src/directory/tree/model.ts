import type { Entry } from '../../ldap/entry.ts';
import type { Assigned } from '../numbers/numbers.ts';
import type { DirectorySettings } from '../settings.ts';
import type { Lint } from '../source/lint.ts';
import type { DirectorySnapshot } from '../source/model.ts';
import type { CheckedRule, WrittenRule } from '../sudo/rule.ts';

/** An entry before it has its update number and times. */
export interface BareEntry extends Omit<Entry, 'operational'> {
  readonly entryUUID: string;
}

/** A rule of the database as the tree needs it. */
export interface StoredRule {
  readonly id: string;
  readonly name: string;
  /** Values of `sudoUser`: `%group`, `user`, `+netgroup`. Checked when the rule was written. */
  readonly sudoUsers: readonly string[];
  readonly written: WrittenRule;
  readonly description: string;
}

/** A rule that is served, for lints, the simulator and the console. */
export interface ServedRule extends CheckedRule {
  readonly cn: string;
  readonly sudoUsers: readonly string[];
  readonly source: 'claims' | 'store';
}

export interface EnrolledHost {
  readonly id: string;
  readonly hostname: string;
  readonly group: string | null;
  /** Neither patterns nor netgroups mean it yet. */
  readonly apart?: boolean;
}

export interface TreeInput {
  readonly snapshot: DirectorySnapshot;
  readonly assigned: Pick<Assigned, 'uidOf' | 'gidOf' | 'nameOf'>;
  readonly storedRules: readonly StoredRule[];
  readonly hosts: readonly EnrolledHost[];
  readonly settings: DirectorySettings;
  readonly now: number;
}

export interface Tree {
  /** Parents before children: containers, groups, people, sudo rules. */
  readonly entries: readonly BareEntry[];
  readonly rules: readonly ServedRule[];
  readonly lints: readonly Lint[];
  readonly counts: { readonly people: number; readonly groups: number; readonly sudoRules: number };
  /** When a sudo rule begins or ends next; null when none does. */
  readonly nextBoundary: number | null;
}

/** Attributes of an entry, in the order in which they are served. */
export type Attributes = [name: string, values: readonly string[]][];
