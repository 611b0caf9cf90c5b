import type { Database } from '../db/database.ts';
import type { Clock } from '../platform/clock.ts';
import { sweep } from './session-store.ts';

const EVERY_MS = 15 * 60_000;
/** Ended sessions stay this long, for whoever asks what happened. */
const KEEP_SESSIONS_MS = 30 * 24 * 60 * 60_000;

/** Forgets sign-ins, ceremonies, codes and sessions that can have no effect any more, so that tables stay small. */
export function startSweeper(deps: { db: Database; clock: Clock; onError: (error: unknown) => void }): {
  sweepNow(): Promise<void>;
  stop(): void;
} {
  const sweepNow = () => {
    const now = deps.clock.now();
    return deps.db.transaction((work) => sweep(work.query, now, now - KEEP_SESSIONS_MS));
  };
  const timer = setInterval(() => void sweepNow().catch(deps.onError), EVERY_MS).unref();
  return { sweepNow, stop: () => clearInterval(timer) };
}
