import type { Ground } from '../platform/module.ts';
import { sweep } from './session-store.ts';

/** How often there is something to forget, milliseconds. */
export const SWEEP_EVERY_MS = 15 * 60_000;
/** Ended sessions stay this long, for an administrator who asks what happened. */
const KEEP_SESSIONS_MS = 30 * 24 * 60 * 60_000;

/** Forgets sign-ins, ceremonies, codes and sessions that can have no effect any more, so that tables stay small. */
export function sweepSessions({ db, clock }: Pick<Ground, 'db' | 'clock'>): Promise<void> {
  const now = clock.now();
  return db.transaction((work) => sweep(work.query, now, now - KEEP_SESSIONS_MS));
}
