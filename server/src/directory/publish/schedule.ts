import type { Clock } from '../../platform/clock.ts';
import type { Random } from '../../platform/random.ts';

/** What the times of the next rounds follow from. */
export interface Outlook {
  /** When what hosts see changes by itself; null when it does not. */
  readonly nextBoundary: number | null;
  /** How many fetches have failed since the last good one. */
  readonly failures: number;
  /** The source wants to be asked no earlier. */
  readonly notBefore: number;
}

export interface ScheduleDeps {
  clock: Clock;
  random: Random;
  /** One round, of which there is never more than one at a time. `fetch`: the source is asked before. */
  round: (fetch: boolean) => Promise<void>;
  outlook: () => Outlook;
  /** Called when the source is to be asked again; null: there is none. */
  poll: (() => void) | null;
  onError: (error: unknown) => void;
  refreshMs: number;
  /** Least time between two fetches. */
  minGapMs?: number | undefined;
}

const MIN_GAP_MS = 1000;
const BACKOFF_MS = [60_000, 120_000, 240_000, 300_000];
const MAX_TIMER_MS = 60_000;

/** When there is a round. One at a time; what is asked for meanwhile is one more round. */
export function createSchedule(deps: ScheduleDeps) {
  const { clock } = deps;
  const minGapMs = deps.minGapMs ?? MIN_GAP_MS;
  let running: Promise<void> | null = null;
  let pendingFetch = false;
  let pendingBuild = false;
  let lastFetchAt = Number.NEGATIVE_INFINITY;
  let stopped = false;
  let gapTimer: NodeJS.Timeout | undefined;
  let pollTimer: NodeJS.Timeout | undefined;
  let boundaryTimer: NodeJS.Timeout | undefined;

  function startRound(fetch: boolean): Promise<void> {
    running = deps
      .round(fetch)
      .catch((error: unknown) => {
        if (!stopped) deps.onError(error);
      })
      .finally(() => {
        running = null;
        setTimers(fetch);
        startNext();
      });
    return running;
  }

  function startNext(): void {
    if (running || stopped || !(pendingFetch || pendingBuild)) return;
    const wait = pendingFetch && !pendingBuild ? lastFetchAt + minGapMs - performance.now() : 0;
    clearTimeout(gapTimer);
    if (wait > 0) {
      gapTimer = setTimeout(startNext, wait);
      return;
    }
    const fetch = pendingFetch && lastFetchAt + minGapMs <= performance.now();
    if (fetch) {
      pendingFetch = false;
      lastFetchAt = performance.now();
    }
    pendingBuild = false;
    void startRound(fetch);
  }

  function setTimers(fetched: boolean): void {
    if (stopped) return;
    const { nextBoundary, failures, notBefore } = deps.outlook();
    clearTimeout(boundaryTimer);
    if (nextBoundary !== null) {
      const wait = Math.min(MAX_TIMER_MS, Math.max(10, nextBoundary - clock.now()));
      boundaryTimer = setTimeout(build, wait).unref();
    }
    if (!fetched || !deps.poll) return;
    clearTimeout(pollTimer);
    const jitter = 0.9 + deps.random.int(2001) / 10_000;
    const ladder = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length) - 1];
    // A source that was away is asked again no later than one that was not.
    const base = failures === 0 ? deps.refreshMs : Math.max(Math.min(ladder!, deps.refreshMs), notBefore - clock.now());
    pollTimer = setTimeout(deps.poll, base * jitter).unref();
  }

  function build(): void {
    pendingBuild = true;
    startNext();
  }

  const isBusy = () => running !== null || pendingFetch || pendingBuild;

  return {
    /** Asks for a round that asks the source first. */
    fetch(): void {
      pendingFetch = true;
      startNext();
    },
    /** Asks for a round from what the source said last. */
    build,
    /** Begins with a round from what was kept, before anything is asked for. Resolves when it is over. */
    begin: () => startRound(false),
    /** Resolves when the round that is under way is over, if there is one. */
    current: async () => void (await running),
    /** A round is under way, or about to be. */
    isBusy,
    isStopped: () => stopped,
    /** Resolves when nothing is under way and nothing waits. For tests and orderly ends. */
    async settled(): Promise<void> {
      while (isBusy()) {
        if (running) await running;
        else await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    /** No round begins any more. Resolves when the last one is over. */
    async stop(): Promise<void> {
      stopped = true;
      clearTimeout(gapTimer);
      clearTimeout(pollTimer);
      clearTimeout(boundaryTimer);
      await running;
    },
  };
}
