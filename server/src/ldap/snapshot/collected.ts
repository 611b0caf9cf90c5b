import type { GrowingBytes, GrowingNumbers } from './growing.ts';
import type { KeyTable } from './key-table.ts';
import type { ShapeTable } from './shapes.ts';

export interface SnapshotOptions {
  /** RFC 4514; the entry of this name must be in the list. */
  baseDn: string;
  /** Larger than that of every earlier snapshot of this process. */
  generation: number;
  /** Highest update sequence number ever given out, 1 … 2^31 − 1. */
  lastUsn: number;
  /** Show `memberOf` to everyone who asks for user attributes. */
  rfc2307bis?: boolean;
  /** Compare `memberUid` without regard to case: where user names were folded when they were taken over. */
  foldMemberUid?: boolean;
  /** Anything hard to guess; 32 bits. */
  hashSeed?: number;
}

/** The list of entries is not a directory. The message names the entry. Nothing of it may be published. */
export class SnapshotError extends Error {}

/** Everything the builder has collected; `arrange` turns it into a snapshot. */
export interface Collected {
  options: SnapshotOptions;
  seed: number;
  kinds: Uint8Array;
  arena: GrowingBytes;
  keys: KeyTable;
  shapes: ShapeTable;
  size: number;
  /** Per entry in order of arrival. */
  start: GrowingNumbers;
  end: GrowingNumbers;
  shape: GrowingNumbers;
  nameKey: GrowingNumbers;
  parentKey: GrowingNumbers;
  audience: GrowingNumbers;
  usn: GrowingNumbers;
  modified: GrowingNumbers;
  uidNumber: GrowingNumbers;
  gidNumber: GrowingNumbers;
  /** Keys of entry i: `emitted[emittedStart[i]] …`. */
  emittedStart: GrowingNumbers;
  emitted: GrowingNumbers;
  /** Per key: where its value lies in the arena, and the last entry that had it, plus 1. */
  keyValue: GrowingNumbers;
  keyLast: GrowingNumbers;
}

/** No number of this attribute. */
export const NO_NUMBER = 0xffffffff;
