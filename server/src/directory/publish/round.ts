import type { Subject } from '../../auth/standing.ts';
import type { LocalPower } from '../guards/power.ts';
import type { Lint } from '../source/lint.ts';
import type { SourceProblem } from '../source/source.ts';
import type { ServedRule } from '../tree/model.ts';

/** What one host says of its own files. */
export interface HostPower {
  readonly hostId: string;
  readonly hostname: string;
  /** Digest of everything that it says. */
  readonly digest: string;
  readonly power: readonly Omit<LocalPower, 'host'>[];
  /** The part of it that files give beside local accounts. */
  readonly grants: readonly Omit<LocalPower, 'host'>[];
}

/** What hosts see, as far as others need to know it. */
export interface Served {
  /** Digest of everything that it was built from: equal digests, equal entries. */
  readonly from: string;
  /** Digest of the bindings of accounts to people that it was built with. */
  readonly pinned: string;
  /** Generation of the UID map that it was built with: an operator may have changed the map since. */
  readonly numbers: number;
  readonly counts: { readonly people: number; readonly groups: number; readonly sudoRules: number };
  readonly usn: number;
  /** In the order in which they were written. */
  readonly rules: readonly ServedRule[];
  readonly lints: readonly Lint[];
  /** When a sudo rule begins or ends next; null when none does. */
  readonly nextBoundary: number | null;
  /** People who are disabled, and their Linux accounts. */
  readonly disabledPeople: readonly Subject[];
  readonly disabledAccounts: readonly string[];
}

export interface RoundRequest {
  /** False: builds again from what the source said last. */
  readonly fetch: boolean;
  /** What hosts see now; null: nothing. */
  readonly served:
    | (Pick<Served, 'from' | 'pinned' | 'numbers' | 'nextBoundary'> & { readonly awaitedNames: readonly string[] })
    | null;
}

export type RoundReport = {
  /** How long the source took; null when it was not asked. */
  readonly fetchSeconds: number | null;
  /** What was kept in the database was not written by this installation, and was not used. */
  readonly forged: boolean;
} & (
  | { readonly ok: true /** Null: hosts see what they saw. */; readonly served: Served | null }
  | { readonly ok: false; readonly why: 'source'; readonly problem: SourceProblem }
  /** The UID map cannot be trusted. */
  | { readonly ok: false; readonly why: 'uid_map'; readonly message: string }
  | { readonly ok: false; readonly why: 'error'; readonly message: string }
);
