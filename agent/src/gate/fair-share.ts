/** Bounds what one account has under way, so that it leaves room for all others. */
export interface FairShare {
  /** Does the work of an account, or says `full` where so much of it is under way already. */
  within<T>(account: string, work: () => Promise<T>): Promise<T | 'full'>;
}

/** @param most of one account at a time */
export function createFairShare(most: number): FairShare {
  const underWay = new Map<string, number>();
  return {
    async within(account, work) {
      const now = underWay.get(account) ?? 0;
      if (now >= most) return 'full';
      underWay.set(account, now + 1);
      try {
        return await work();
      } finally {
        const left = underWay.get(account)! - 1;
        if (left === 0) underWay.delete(account);
        else underWay.set(account, left);
      }
    },
  };
}
