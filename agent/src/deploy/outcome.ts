import type { SshProblem } from './ssh.ts';

/** Why a host was not done. */
export type FailureReason =
  | SshProblem
  /** There is no root without a password or an approval. */
  | 'no_root'
  /** It is enrolled under another name. */
  | 'other_name'
  | 'no_token'
  | 'installer_failed'
  | 'connection_lost'
  | 'timed_out'
  /** Its address led to another host the second time. */
  | 'other_host'
  /** All is installed, and is put back unless somebody confirms it. */
  | 'not_confirmed';

/** What became of a host. */
export type Outcome =
  | { kind: 'done' }
  /** An earlier run did it. */
  | { kind: 'skipped' }
  /** What a run that changes something would do. `finish`: it is enrolled, and an installer that runs again does the rest. */
  | { kind: 'planned'; would: 'install' | 'finish' }
  /** `message`: one line. */
  | { kind: 'failed'; reason: FailureReason; message: string };
