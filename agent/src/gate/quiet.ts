import type { Clock } from '../platform/clock.ts';
import type { ProcessId } from './registered-sudos.ts';

/** Finds moments in which no sudo needs what is about to be away for a second, and has those that begin then wait. */
export interface Quiet {
  /** A sudo begins. Resolves when nothing is away, or has been for too long. */
  begins(process: ProcessId, isGone: () => Promise<boolean>): Promise<void>;
  /** It has found out all that it needs of this host, and asks. */
  asks(process: ProcessId): void;
  /** Does the work at such a moment. */
  during<T>(work: () => Promise<T>): Promise<T>;
}

/** Somebody may sit at a prompt for a password for as long as they like, milliseconds. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 20;
/** What is away for longer than this is in trouble of its own, milliseconds. */
const LONGEST_MS = 3000;
/** As many are kept without looking which of them still run. */
const KEPT = 1024;

export function createQuiet(clock: Pick<Clock, 'monotonic' | 'sleep'>): Quiet {
  const beginning = new Map<string, () => Promise<boolean>>();
  let away: Promise<unknown> | null = null;
  const keyOf = ({ pid, start }: ProcessId): string => `${pid} ${start}`;

  async function forgetGone(): Promise<void> {
    for (const [key, isGone] of [...beginning]) if (await isGone()) beginning.delete(key);
  }

  return {
    async begins(process, isGone) {
      if (away !== null) await Promise.race([away, clock.sleep(LONGEST_MS)]);
      beginning.set(keyOf(process), isGone);
      // Those that never ask: sudo -l, and what sudo itself refuses.
      if (beginning.size > KEPT) await forgetGone();
    },
    asks: (process) => void beginning.delete(keyOf(process)),
    async during(work) {
      const until = clock.monotonic() + PATIENCE_MS;
      while (beginning.size > 0 && clock.monotonic() < until) {
        await clock.sleep(LOOK_MS);
        await forgetGone();
      }
      const working = work();
      const over = working.catch(() => undefined);
      away = over;
      void over.then(() => {
        if (away === over) away = null;
      });
      return working;
    },
  };
}
