import type { SinkName } from '../config/sections/audit-sinks.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import { listDeadLetters, retryDeadLetters } from './dead-letter-store.ts';

/** An event that the receiver of a sink refused for good. */
export interface DeadLetter {
  sink: SinkName;
  seq: number;
  /** Null: it is no longer in the log. */
  event: string | null;
  reason: string;
  refusedAt: number;
  /** It is to be tried again. */
  retry: boolean;
}

export type DeadLetters = ReturnType<typeof createDeadLetters>;

/** What sinks could not deliver. */
export function createDeadLetters(deps: { db: Database; events: Pick<EventLog, 'append'> }) {
  const { db, events } = deps;
  return {
    /** By sink, oldest first. */
    async list(sink?: string): Promise<DeadLetter[]> {
      return (await listDeadLetters(db.query, sink)).map(({ at, retry, ...letter }) => ({
        ...letter,
        sink: letter.sink as SinkName,
        refusedAt: at,
        retry: retry === 1,
      }));
    },

    /** Has them tried again, with the next event that is delivered: that is the one which says so. @returns how many */
    retry: (which: { sink?: string; seq?: number }, actor: string, remoteAddr: string | null = null): Promise<number> =>
      db.transaction(async (work) => {
        const count = await retryDeadLetters(work, which);
        if (count === 0) return 0;
        const data = { sink: which.sink ?? null, seq: which.seq ?? null, count };
        await events.append(work, { event: 'audit_dead_letters_retried', username: '', actor, remoteAddr, data });
        return count;
      }),
  };
}
