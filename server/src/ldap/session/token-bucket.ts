/** Fills up to `burst`. Below nothing there is debt, which is paid before anything else is had. */
export interface TokenBucket {
  tokens: number;
  refilled: number;
}

/** A rate of 0 is no limit. */
export interface Rate {
  perSecond: number;
  burst: number;
}

/** How much clients may ask. */
export interface Rates {
  /** For each connection, by what its searches cost. */
  connection: Rate;
  /** For each connection that has authenticated. */
  authenticated: Rate;
  /** For all connections of an address together, by what they ask: one costly search does not hold up its neighbours. */
  address: Rate;
}

export const createBucket = (burst: number, now: number): TokenBucket => ({ tokens: burst, refilled: now });

/** @param now in milliseconds. */
export function refill(bucket: TokenBucket, { perSecond, burst }: Rate, now: number): void {
  const passed = now - bucket.refilled;
  if (passed <= 0) return;
  bucket.tokens = Math.min(burst, bucket.tokens + (passed * perSecond) / 1000);
  bucket.refilled = now;
}

/** Milliseconds until there is a token; 0: there is one. */
export const untilToken = ({ tokens }: TokenBucket, { perSecond }: Rate): number =>
  perSecond === 0 || tokens >= 1 ? 0 : ((1 - tokens) * 1000) / perSecond;

/** Takes tokens, also those that are not there yet. Half a burst is the most that is ever owed: waits have an end. */
export function charge(bucket: TokenBucket, { perSecond, burst }: Rate, count: number): void {
  if (perSecond > 0) bucket.tokens = Math.max(-burst / 2, bucket.tokens - count);
}
