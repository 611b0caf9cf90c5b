import type { Entry } from '../entry.ts';
import type { SnapshotOptions } from './collected.ts';
import type { Snapshot } from './snapshot.ts';

export type ToBuilder =
  | { kind: 'begin'; options: SnapshotOptions }
  | { kind: 'entries'; entries: readonly Entry[] }
  | { kind: 'finish' };

export type FromBuilder =
  | { kind: 'built'; snapshot: Snapshot }
  | { kind: 'refused'; message: string }
  /** As many entries have been taken in. */
  | { kind: 'taken' };
