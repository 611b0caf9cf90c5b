import type { Reply } from '../client/reply.ts';
import type { Clock } from '../platform/clock.ts';

/** What is known of the server since somebody began to ask it. */
export interface DeathWatch {
  /** Takes an answer down, or that there was none. */
  note(reply: Reply<unknown>): void;
  /** It fails, but too few tries have failed to say that no server is there. */
  undecided(): boolean;
  /** For how long it has given no sign; 0 when the last try had one. Milliseconds. */
  silentMs(): number;
  /** Whether no server can be asked, and this host has a way in without one. One sign of a living server, and it is not. */
  isDead(): Promise<boolean>;
}

/** A server counts as dead after so many tries without a sign of it. */
const DEAD_AFTER_TRIES = 3;
/** Where one of several was not asked meanwhile, it is tried so often: requests of others take turns with this one. */
const LOST_AFTER_TRIES = 16;

/** Counts failures without a sign of the server. */
export function createDeathWatch(deps: {
  clock: Pick<Clock, 'monotonic'>;
  /** Whether every server that client.conf names was asked since then (monotonic), and each is out. */
  allOutSince(at: number): boolean;
  /** Whether there is a way in without a server. */
  breakGlassReady(): Promise<boolean>;
}): DeathWatch {
  const { clock } = deps;
  let tries = 0;
  let began = clock.monotonic();
  let since = began;
  let seenAlive = false;
  return {
    note(reply) {
      if (reply.kind === 'aborted') return;
      if (reply.kind === 'unavailable' && reply.outage) {
        if (tries === 0) since = clock.monotonic();
        tries += 1;
        return;
      }
      seenAlive = true;
      tries = 0;
      began = clock.monotonic();
    },
    undecided: () => tries > 0 && tries < (deps.allOutSince(began) ? DEAD_AFTER_TRIES : LOST_AFTER_TRIES),
    silentMs: () => (tries === 0 ? 0 : clock.monotonic() - since),
    async isDead() {
      if (seenAlive || tries < DEAD_AFTER_TRIES) return false;
      // One that was not asked may be the one that works.
      if (!deps.allOutSince(began)) return false;
      return deps.breakGlassReady();
    },
  };
}
