import type { HostRecord } from '#shared/decision.ts';
import type { UseProblem } from '#shared/offline-grant.ts';

/**
 * What sudo did with the command, as far as its host has told. Moments are those at which the server was told; of a use of
 * an offline grant, those at which its host wrote it down.
 */
export type RunView =
  | { state: 'started'; startedAt: number }
  /** Both `exitStatus` and `signal` are null when sudo could not tell. */
  | { state: 'ended'; endedAt: number; exitStatus: number | null; signal: string | null; durationMs: number }
  | { state: 'refused'; endedAt: number; reason: string };

/** One request as the approval page, the inbox and the history show it. Every text in it is safe to display as is. */
export interface ChallengeView {
  id: string;
  userCode: string;
  status: 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled';
  user: string;
  /** Display name of the person the account belongs to, when known. */
  userDisplayName: string | null;
  host: { id: string; name: string; group: string | null; lastSeenAt: number | null };
  /**
   * The whole command, as sudo resolved it where sudo told, else as typed: quoted for reading, with invisible characters
   * shown as escapes.
   */
  command: string;
  /** The record as the host sent it, with every text made visible. */
  record: HostRecord;
  createdAt: number;
  expiresAt: number;
  policy: { rule: string; version: string; approval: 'none' | 'session' | 'passkey'; approvers: ('self' | 'admins')[] };
  decidedAt: number | null;
  /** Name of who decided; null for policy, time and the host itself. */
  decidedBy: string | null;
  /** The viewer decided it. By who they are: others may be called the same. */
  decidedByViewer: boolean;
  class: 'passkey' | 'session' | 'grace' | 'policy' | null;
  reason: string | null;
  outcome: 'granted' | 'refused' | null;
  outcomeDetail: string | null;
  outcomeAt: number | null;
  /** Null when nothing was told, as on hosts where nobody sees it. */
  run: RunView | null;
  /** Its host released it by a grant, and told of it at `createdAt`. Null: its host asked. `problem`: the grant is of something else. */
  offline: { grantedAt: number; usedAt: number; problem: UseProblem | null } | null;
  /** What this viewer may do with it now. */
  can: { approve: boolean; deny: boolean };
  /** Why not approve, when `can.approve` is false on a pending request: a code of the error table. */
  approveRefusal: string | null;
  /** Server clock, milliseconds, so that countdowns do not depend on the phone's clock. */
  now: number;
}
