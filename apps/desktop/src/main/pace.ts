/** How often something may be done, milliseconds each. */
export interface Pace {
  /** How often in the long run. */
  everyMs: number;
  /** How often at most, as long as it was not done often lately. */
  apartMs: number;
  /** How many times that may be before only `everyMs` counts. */
  burst: number;
}

/**
 * Does something at once when asked after a quiet time, and soon when asked a few times more. What asks without end has it
 * done at the rate of the long run (the generic cell rate algorithm of ITU-T I.371). It is done once
 * more after the last time that it was asked for, or it would have seen what was before.
 *
 * @param elapsed milliseconds on a clock that nobody sets
 */
export function createPace({ everyMs, apartMs, burst }: Pace, act: () => void, elapsed = () => performance.now()) {
  let timer: NodeJS.Timeout | undefined;
  let last = Number.NEGATIVE_INFINITY;
  /** When the next would be, had each been as far from the one before as in the long run. */
  let regular = Number.NEGATIVE_INFINITY;

  function go(): void {
    timer = undefined;
    last = elapsed();
    regular = Math.max(regular, last) + everyMs;
    act();
  }

  return {
    ask(): void {
      if (timer) return;
      const wait = Math.max(last + apartMs, regular - (burst - 1) * everyMs) - elapsed();
      if (wait <= 0) go();
      else timer = setTimeout(go, wait);
    },
    stop: () => clearTimeout(timer),
  };
}
