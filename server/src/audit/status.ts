import type { Query } from '../db/query.ts';
import type { EventReaders } from '../events/readers.ts';
import { countDeadLetters } from './dead-letter-store.ts';
import type { SinkName } from './sink.ts';

/** Name of the reader that hands events to a sink: its cursor is kept under it. */
export const readerOf = (sink: SinkName): string => `audit ${sink}`;

/** Longer than this no event waits for a sink that is well, milliseconds. */
const BEHIND_MS = 60_000;

/** How a sink fares, whichever server delivers. */
export interface SinkStatus {
  readonly name: SinkName;
  /** `paused`: only an operator can mend what is wrong. `failing`: it tries again by itself. */
  readonly state: 'ok' | 'behind' | 'failing' | 'paused';
  /** Events that are not delivered yet. */
  readonly behind: number;
  /** How long the oldest of them has been waiting, milliseconds. */
  readonly behindMs: number;
  /** Milliseconds since the epoch; null: never. */
  readonly lastSuccessAt: number | null;
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
          behind: reader?.behind ?? 0,
          behindMs,
          lastSuccessAt: reader?.movedAt ?? null,
          lastErrorAt: reader?.failure?.at ?? null,
          lastError: reader?.failure?.text ?? null,
          deadLetters: await countDeadLetters(deps.query, name),
        };
      }),
    );
  };
}
