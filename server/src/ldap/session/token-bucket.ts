/** Lets through `rate` per second on average and `burst` at once. */
export interface TokenBucket {
  tokens: number;
  refilled: number;
}

export const createBucket = (burst: number, now: number): TokenBucket => ({ tokens: burst, refilled: now });

/**
 * Takes tokens; a full bucket is always enough. A rate of 0 is no limit.
 *
 * @param now in milliseconds.
 */
export function take(bucket: TokenBucket, rate: number, burst: number, now: number, count = 1): boolean {
  if (rate === 0) return true;
  const passed = now - bucket.refilled;
  if (passed > 0) {
    bucket.tokens = Math.min(burst, bucket.tokens + (passed * rate) / 1000);
    bucket.refilled = now;
  }
  const needed = Math.min(count, burst);
  if (bucket.tokens < needed) return false;
  bucket.tokens -= needed;
  return true;
}
