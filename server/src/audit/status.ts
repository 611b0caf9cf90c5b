import { isSinkName, type SinkName } from '../config/sections/audit-sinks.ts';
import type { Query } from '../db/query.ts';
import { listCursors } from '../events/cursor-store.ts';
import type { EventLog } from '../events/log.ts';
import type { EventReaders } from '../events/readers.ts';
import { countDeadLetters } from './dead-letter-store.ts';

/** Name of the reader that hands events to a sink: its cursor is kept under it. */
export const readerOf = (sink: SinkName): string => `audit ${sink}`;

/** The sink that a reader hands events to; null: it is another one's. */
function sinkOf(reader: string): SinkName | null {
  const name = reader.replace(/^audit /, '');
  return name !== reader && isSinkName(name) ? name : null;
}

/** Longer than this no event waits for a sink that is well, milliseconds. */
const BEHIND_MS = 60_000;

/** How a sink fares, whichever server delivers. */
export interface SinkStatus {
  readonly name: SinkName;
  /**
   * `paused`: only an operator can mend what is wrong. `failing`: it tries again by itself. `removed`: it is no longer
   * configured; configured again under the same name, it goes on from where it was.
   */
  readonly state: 'ok' | 'behind' | 'failing' | 'paused' | 'removed';
  /** Number of the newest event that it is done with. */
  readonly seq: number;
  /** Events that are not delivered yet. */
  readonly behind: number;
  /** How long the oldest of them has been waiting, milliseconds. */
  readonly behindMs: number;
  /** When its receiver took an event, milliseconds since the epoch; null: never, as far as that was noted. */
  readonly lastSuccessAt: number | null;
  /** Milliseconds since the epoch; null: never. */
  readonly lastErrorAt: number | null;
  readonly lastError: string | null;
  readonly deadLetters: number;
}

export type SinkStatuses = () => Promise<SinkStatus[]>;

export function createSinkStatuses(deps: {
  sinks: readonly SinkName[];
  query: Query;
  readers: Pick<EventReaders, 'status'>;
}): SinkStatuses {
  return async () => {
    const known = new Map((await deps.readers.status()).map((status) => [status.reader, status]));
    return Promise.all(
      deps.sinks.map(async (name): Promise<SinkStatus> => {
        const reader = known.get(readerOf(name));
        const behindMs = reader?.behindMs ?? 0;
        const failing = reader !== undefined && reader.problem !== null;
        return {
          name,
          state: failing ? (reader.paused ? 'paused' : 'failing') : behindMs > BEHIND_MS ? 'behind' : 'ok',
          seq: reader?.seq ?? 0,
          behind: reader?.behind ?? 0,
          behindMs,
          lastSuccessAt: reader?.deliveredAt ?? null,
          lastErrorAt: reader?.failure?.at ?? null,
          lastError: reader?.failure?.text ?? null,
          deadLetters: await countDeadLetters(deps.query, name),
        };
      }),
    );
  };
}

/** Sinks that are no longer configured, with the place in the log that is kept for them. */
export function createRemovedSinks(deps: {
  sinks: readonly SinkName[];
  query: Query;
  events: Pick<EventLog, 'head'>;
}): SinkStatuses {
  return async () => {
    const head = await deps.events.head();
    const removed = (await listCursors(deps.query)).flatMap((cursor) => {
      const name = sinkOf(cursor.reader);
      return name === null || deps.sinks.includes(name) ? [] : [{ name, cursor }];
    });
    return Promise.all(
      removed.map(
        async ({ name, cursor }): Promise<SinkStatus> => ({
          name,
          state: 'removed',
          seq: cursor.seq,
          behind: Math.max(0, head.seq - cursor.seq),
          behindMs: 0,
          lastSuccessAt: cursor.delivered_at,
          lastErrorAt: cursor.failed_at ?? null,
          lastError: cursor.failure ?? null,
          deadLetters: await countDeadLetters(deps.query, name),
        }),
      ),
    );
  };
}
