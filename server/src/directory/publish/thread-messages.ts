import type { MessagePort } from 'node:worker_threads';
import type { Leaver } from '../../auth/standing.ts';
import type { Config } from '../../config/config.ts';
import type { Answer, Call } from '../../platform/port-calls.ts';
import type { RoundReport, RoundRequest } from './round.ts';

/** What the directory's thread is started with. */
export interface ThreadStart {
  config: Config;
  /** See `ServerKeys.storage`. */
  storage: Uint8Array;
  /** Takes finished snapshots to the LDAP engine. */
  snapshots: MessagePort;
}

/** What the server may ask of the thread. */
export interface ThreadCalls {
  /** @param clockOffset how far the server's clock is ahead of this machine's, milliseconds; tests move it */
  run(request: RoundRequest, generation: number, clockOffset: number): Promise<RoundReport>;
  groupsOf(account: string): Promise<string[]>;
}

/** What the thread may ask of the server. */
export interface ServerCalls {
  /** Nothing is published before this has resolved. */
  endSessions(leavers: readonly Leaver[]): Promise<void>;
}

export type ToThread =
  | Call
  | Answer
  /** The LDAP engine is another one. */
  | { kind: 'snapshots'; port: MessagePort }
  | { kind: 'close' };

export type FromThread =
  | Call
  | Answer
  /** There are new events. */
  | { kind: 'wrote' };
