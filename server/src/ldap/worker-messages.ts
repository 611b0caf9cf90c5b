import type { MessagePort } from 'node:worker_threads';
import type { Answer, Call } from '../platform/port-calls.ts';
import type { ServiceAccount } from './credential-checker.ts';
import type { ListenAddress, TlsSettings } from './directory-server.ts';
import type { SessionEvent } from './session/session.ts';
import type { Settings } from './session/settings.ts';
import type { Stats } from './session/stats.ts';

/** What the worker is started with. */
export interface WorkerStart {
  settings: Settings;
  tls: TlsSettings | null;
  service: ServiceAccount | null;
  listen: readonly ListenAddress[];
  /** Where snapshots come from; one that waits there is served from the first connection on. */
  snapshots: MessagePort | null;
  /** Digests of names that have proved something at an address, and the key of these digests; null: none are kept. */
  proofs: { key: Uint8Array; known: readonly string[] } | null;
}

/** What may be asked of the worker; it asks a `CredentialChecker` itself. */
export interface WorkerCalls {
  stats(): Stats;
}

export type ToWorker =
  | Call
  | Answer
  /** Snapshots come from here from now on, as they are. */
  | { kind: 'snapshots'; port: MessagePort }
  /** Off the air until a snapshot comes that is newer than this generation. */
  | { kind: 'withdraw'; generation: number }
  | { kind: 'recheck' }
  | { kind: 'tls'; tls: TlsSettings }
  | { kind: 'close' };

export type FromWorker =
  | Call
  | Answer
  | { kind: 'listening'; ports: number[] }
  | { kind: 'failed'; message: string; code: string | null }
  | { kind: 'event'; event: SessionEvent }
  | { kind: 'proved'; digest: string }
  | { kind: 'closed' };
