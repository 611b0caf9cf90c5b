import { eventKind } from '#shared/events.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';

/** Wakes long polls when their challenge changes, in whichever process the change was written. */
export interface Waiters {
  /** Resolves when the challenge changes, when `ms` have passed or when the signal aborts. */
  wait(challengeId: string, ms: number, signal: AbortSignal): Promise<void>;
  /** Lets every waiter go: the server is stopping. */
  close(): void;
}

export function createWaiters(deps: { events: Pick<EventLog, 'follow'>; db: Pick<Database, 'onAway'> }): Waiters {
  const waiting = new Map<string, Set<() => void>>();
  let closed = false;
  const wakeAll = (): void => {
    for (const wakers of waiting.values()) for (const wake of [...wakers]) wake();
  };
  // Nothing would be heard here of a decision. Another server may hear of it, and who waits can go there.
  const stopWatching = deps.db.onAway(wakeAll);
  const stop = deps.events.follow((event) => {
    // Its own creation is no news to who already waits for it, nor is that somebody looked or was refused.
    if (event.challengeId === null || event.event === 'challenge_created') return;
    if (eventKind(event.event)?.topic === 'attempts') return;
    for (const wake of [...(waiting.get(event.challengeId) ?? [])]) wake();
  });
  return {
    wait(challengeId, ms, signal) {
      if (closed || signal.aborted || ms <= 0) return Promise.resolve();
      return new Promise((resolve) => {
        const wakers = waiting.get(challengeId) ?? new Set();
        waiting.set(challengeId, wakers);
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          wakers.delete(done);
          if (wakers.size === 0) waiting.delete(challengeId);
          resolve();
        };
        const timer = setTimeout(done, ms);
        signal.addEventListener('abort', done);
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
