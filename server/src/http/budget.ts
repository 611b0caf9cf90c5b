/** A sliding-window budget per key, bounded in memory. */
export interface Budget {
  /** Uses one unit; false when the window is full. */
  take(key: string): boolean;
  /** True while there is something left. */
  peek(key: string): boolean;
}

const MAX_KEYS = 50_000;

/** At most `limit` units per `windowMs` and key. */
export function createBudget(options: { limit: number; windowMs: number; now: () => number }): Budget {
  const used = new Map<string, number[]>();
  const recent = (key: string): number[] => {
    const since = options.now() - options.windowMs;
    return (used.get(key) ?? []).filter((at) => at > since);
  };
  return {
    take(key) {
      const times = recent(key);
      if (times.length >= options.limit) return false;
      times.push(options.now());
      used.delete(key);
      used.set(key, times);
      // Oldest-used first: a flood of addresses pushes out addresses, not memory.
      if (used.size > MAX_KEYS) used.delete(used.keys().next().value!);
      return true;
    },
    peek: (key) => recent(key).length < options.limit,
  };
}
