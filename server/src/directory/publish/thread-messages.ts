import type { MessagePort } from 'node:worker_threads';
import type { Leaver } from '../../auth/standing.ts';
import type { Config } from '../../config/config.ts';
import type { RoundReport, RoundRequest } from './rounds.ts';

/** What the directory's thread is started with. */
export interface ThreadStart {
  config: Config;
  /** See `ServerKeys.storage`. */
  storage: Uint8Array;
  /** Takes finished snapshots to the LDAP engine. */
  snapshots: MessagePort;
}

export type ToThread =
  /** `clockOffset`: how far the server's clock is ahead of this machine's, milliseconds; tests move it. */
  | { kind: 'run'; id: number; request: RoundRequest; generation: number; clockOffset: number }
  | { kind: 'groupsOf'; id: number; account: string }
  | { kind: 'left'; id: number; ok: boolean }
  /** The LDAP engine is another one. */
  | { kind: 'snapshots'; port: MessagePort }
  | { kind: 'close' };

export type FromThread =
  | { kind: 'report'; id: number; report: RoundReport }
  | { kind: 'groups'; id: number; groups: string[] }
  | { kind: 'failed'; id: number; message: string }
  /** Nothing is published before it has been answered with `left`. */
  | { kind: 'leavers'; id: number; leavers: readonly Leaver[] }
  /** There are new events. */
  | { kind: 'wrote' };
