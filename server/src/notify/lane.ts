import type { Clock } from '../platform/clock.ts';

/** How fast a channel may be used. */
export interface Limits {
  /** Attempts a minute, in the long run; a sixth of it at once after a pause. */
  readonly perMinute: number;
  /** Attempts at a time. */
  readonly atOnce: number;
}

const MINUTE = 60_000;

export type Lane = ReturnType<typeof createLane>;

/** What is under way on one channel, and when there is room for more. */
export function createLane(clock: Clock) {
  const begun = new Set<string>();
  let tokens = Number.POSITIVE_INFINITY;
  let filledAt = clock.now();
  let heldUntil = 0;
  let heldFor = 0;

  function fill({ perMinute }: Limits): void {
    const now = clock.now();
    // A clock that is put back gives nothing.
    const grown = (Math.max(0, now - filledAt) * perMinute) / MINUTE;
    tokens = Math.min(tokens + grown, Math.max(1, Math.ceil(perMinute / 6)));
    filledAt = now;
  }

  return {
    /** What is under way at this moment. */
    underWay: (): ReadonlySet<string> => new Set(begun),
    /** How many may begin now; when it is none, after how many milliseconds one may. Null: when one that is under way ends. */
    room(limits: Limits): { count: number; waitMs: number | null } {
      fill(limits);
      const now = clock.now();
      // A clock that is put back holds nothing for longer than was asked for.
      heldUntil = Math.min(heldUntil, now + heldFor);
      if (now < heldUntil) return { count: 0, waitMs: heldUntil - now };
      const free = limits.atOnce - begun.size;
      if (free <= 0) return { count: 0, waitMs: null };
      const count = Math.min(free, Math.floor(tokens));
      return { count, waitMs: count > 0 ? 0 : Math.ceil(((1 - tokens) * MINUTE) / limits.perMinute) };
    },
    begin(id: string): void {
      begun.add(id);
      tokens -= 1;
    },
    end: (id: string): void => void begun.delete(id),
    /** The receiver wants nothing for so long, milliseconds. */
    hold(ms: number): void {
      const now = clock.now();
      heldUntil = Math.max(heldUntil, now + ms);
      heldFor = heldUntil - now;
    },
  };
}
