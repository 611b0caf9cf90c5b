import type { MessagePort } from 'node:worker_threads';
import type { ServiceAccount } from './credential-checker.ts';
import type { ListenAddress, TlsSettings } from './directory-server.ts';
import type { BindAttempt, ClientCertificate, Identity } from './session/credentials.ts';
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
}

/** What the worker asks about credentials; the answer comes back under the same number. */
export type Question =
  | { method: 'checkBind'; argument: BindAttempt }
  | { method: 'identify'; argument: ClientCertificate }
  | { method: 'isCurrent'; argument: Identity };

export type ToWorker =
  /** Snapshots come from here from now on, as they are. */
  | { kind: 'snapshots'; port: MessagePort }
  /** Off the air until a snapshot comes that is newer than this generation. */
  | { kind: 'withdraw'; generation: number }
  | { kind: 'recheck' }
  | { kind: 'tls'; tls: TlsSettings }
  | { kind: 'stats'; id: number }
  | { kind: 'answer'; id: number; ok: true; value: Identity | boolean | null }
  | { kind: 'answer'; id: number; ok: false }
  | { kind: 'close' };

export type FromWorker =
  | { kind: 'listening'; ports: number[] }
  | { kind: 'failed'; message: string; code: string | null }
  | { kind: 'question'; id: number; question: Question }
  | { kind: 'event'; event: SessionEvent }
  | { kind: 'stats'; id: number; stats: Stats }
  | { kind: 'closed' };
