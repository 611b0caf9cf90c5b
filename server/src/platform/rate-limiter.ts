import type { Clock } from './clock.ts';

/** Sliding window over the last `windowMs`: at most `limit` per key. */
export interface RateLimiter {
  /** Counts one; false when that is one too many. What is refused counts as well only up to the limit. */
  take(key: string): boolean;
  /** True while `take` would still be granted; counts nothing. */
  peek(key: string): boolean;
}

export function createRateLimiter(deps: {
  clock: Clock;
  limit: number;
  windowMs: number;
  /** Most keys remembered; the one unused for longest is forgotten first. */
  maxKeys?: number;
}): RateLimiter {
  const { clock, limit, windowMs, maxKeys = 20_000 } = deps;
  // Insertion order is order of last use, so the first key is always the oldest.
  const seen = new Map<string, number[]>();
  const recentOf = (key: string) => (seen.get(key) ?? []).filter((at) => at > clock.now() - windowMs);
  return {
    take(key) {
      const now = clock.now();
      const recent = recentOf(key);
      const allowed = recent.length < limit;
      if (allowed) recent.push(now);
      seen.delete(key);
      seen.set(key, recent);
      for (const [oldest, times] of seen) {
        const last = times.at(-1) ?? 0;
        if (seen.size <= maxKeys && last > now - windowMs) break;
        seen.delete(oldest);
      }
      return allowed;
    },
    peek: (key) => recentOf(key).length < limit,
  };
}
