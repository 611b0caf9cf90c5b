/** How long a count is good for, milliseconds. */
const RECOUNT_MS = 1000;

/**
 * Bounds how many requests wait in all. Counting them takes longer the more there are, so that is done once a second;
 * in between every new one counts and nobody who was answered is missed, which errs to the safe side. Nobody is
 * refused on an estimate: at the limit it is counted anew.
 */
export function createPendingTotal(limit: number) {
  let total = limit;
  let countedAt = Number.NEGATIVE_INFINITY;
  return {
    /**
     * True when one more may wait; it then counts as one.
     *
     * @param count the exact number, up to `limit`
     * @param now milliseconds
     */
    async admits(count: () => Promise<number>, now: number): Promise<boolean> {
      if (total >= limit || now - countedAt >= RECOUNT_MS || now < countedAt) {
        total = await count();
        countedAt = now;
      }
      if (total >= limit) return false;
      total += 1;
      return true;
    },
  };
}
