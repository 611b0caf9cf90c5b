import type { Lint } from './lint.ts';
import type { DirectorySnapshot } from './model.ts';

/** Why a source could not deliver. The words are for an operator; they contain no secret and no unfiltered answer. */
export interface SourceProblem {
  /**
   * `unauthorised`: the key is not accepted. `unreachable`: no answer. `inconsistent`: the answer contradicts itself.
   * `invalid`: the answer or file does not have the expected shape.
   */
  readonly code: 'unauthorised' | 'unreachable' | 'inconsistent' | 'invalid';
  readonly message: string;
  /** The source asked to be left alone for so long, milliseconds. */
  readonly retryAfterMs?: number;
}

export type FetchResult =
  | {
      readonly ok: true;
      readonly snapshot: DirectorySnapshot;
      /** What was left out of it, and why. */
      readonly lints?: readonly Lint[];
      /** Names of the groups among it. Where a rule is for one of them, nothing of this may be served. */
      readonly groupsLeftOut?: readonly string[];
    }
  | { readonly ok: false; readonly problem: SourceProblem };

/**
 * Where people, groups and claims come from. All or nothing: a source that reached only a part of its data delivers a
 * problem, never a smaller snapshot, because what is missing would be deleted on every host.
 */
export interface DirectorySource {
  readonly name: 'pocketid' | 'scim' | 'file';
  /** Never rejects but for an aborted signal. */
  fetch(signal: AbortSignal): Promise<FetchResult>;
  /** Calls back when there is something new to fetch. Returns what stops it. */
  watch?(onChange: () => void): () => void;
}
