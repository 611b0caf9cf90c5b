import type { EventRecord } from '#shared/events.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from './log.ts';

/** Wakes long polls when what they wait for changes, in whichever process the change was written. */
export interface Waiters {
  /**
   * Resolves when this changes, when `ms` have passed or when the signal aborts.
   *
   * @returns whether it was told of a change
   */
  wait(key: string, ms: number, signal: AbortSignal): Promise<boolean>;
  /** Lets every waiter go: the server is stopping. */
  close(): void;
}

/** @param deps.keyOf what an event changes; null: nothing that is waited for */
export function createWaiters(deps: {
  events: Pick<EventLog, 'follow'>;
  db: Pick<Database, 'onAway'>;
  keyOf: (event: EventRecord) => string | null;
}): Waiters {
  const waiting = new Map<string, Set<(changed: boolean) => void>>();
  let closed = false;
  const wakeAll = (): void => {
    for (const wakers of waiting.values()) for (const wake of [...wakers]) wake(false);
  };
  // Nothing would be heard here of a change. Another server may hear of it, and who waits can go there.
  const stopWatching = deps.db.onAway(wakeAll);
  const stop = deps.events.follow((event) => {
    const key = deps.keyOf(event);
    if (key === null) return;
    for (const wake of [...(waiting.get(key) ?? [])]) wake(true);
  });
  return {
    wait(key, ms, signal) {
      if (closed || signal.aborted || ms <= 0) return Promise.resolve(false);
      return new Promise((resolve) => {
        const wakers = waiting.get(key) ?? new Set();
        waiting.set(key, wakers);
        const done = (changed: boolean) => {
          clearTimeout(timer);
          signal.removeEventListener('abort', over);
          wakers.delete(done);
          if (wakers.size === 0) waiting.delete(key);
          resolve(changed);
        };
        const over = () => done(false);
        const timer = setTimeout(over, ms);
        signal.addEventListener('abort', over);
        wakers.add(done);
      });
    },
    close() {
      closed = true;
      stop();
      stopWatching();
      wakeAll();
    },
  };
}
