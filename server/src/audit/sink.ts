import type { LoggedEvent } from '#shared/events.ts';
import type { SinkName } from '../config/sections/audit-sinks.ts';
import type { ComesAgain, ReaderTurn } from '../platform/module.ts';
import type { AuditRecord } from './record.ts';

/**
 * One of the records will never be taken, however often it comes: it is too large, or not what the receiver expects. The
 * others count as not delivered.
 */
export interface Refused {
  /** Which one it is, counted from 0. Null: the receiver does not say. */
  at: number | null;
  reason: string;
}

/**
 * Where events go. One process of the cluster delivers at a time.
 *
 * A sink confirms what the receiver has confirmed, and nothing else: what it was not sure of comes again.
 */
export interface AuditSink {
  readonly name: SinkName;
  /** Which events it gets; without it: every one. */
  readonly wants?: (event: LoggedEvent) => boolean;
  /** How many records it is given at a time, at most. */
  readonly batch: number;
  /** While it keeps up, so long passes between two batches, milliseconds: where each has a price. */
  readonly everyMs?: number;
  /**
   * Resolves with null once all of them are where they belong. It waits for as long as the receiver takes nothing, and
   * before each thing that cannot be taken back it asks whether the turn is still its own.
   *
   * @throws ReaderFailure or any error: they come again, all of them.
   */
  deliver(records: readonly AuditRecord[], turn: ReaderTurn): Promise<Refused | null>;
  /** See `EventReader`. */
  comesAgain?(): Promise<ComesAgain | null>;
  /** Lets go of what is open. */
  close(): Promise<void>;
}

/** The turn may be another process's by now: whatever this one still writes would be written twice, and out of order. */
export class TurnLost extends Error {
  constructor() {
    super('another server may have taken over');
  }
}

/** @throws TurnLost */
export function mustBeSure(turn: ReaderTurn): void {
  if (turn.signal.aborted || !turn.isSure()) throw new TurnLost();
}
