import { Refusal } from '#shared/errors.ts';
import { addressBucket } from '../platform/client-address.ts';
import type { Clock } from '../platform/clock.ts';
import { createRateLimiter, type RateLimiter } from '../platform/rate-limiter.ts';

/** The limits of the browser side, by person where there is one, else by true client address. Each throws `rate_limited`. */
export interface RateLimits {
  login(remoteAddr: string): void;
  callback(remoteAddr: string): void;
  /** The approval page by code. Nothing is looked up for who is not signed in. */
  approvePage(personId: string): void;
  mutation(personId: string): void;
  desktopToken(remoteAddr: string): void;
}

const MINUTE = 60_000;

export function createRateLimits(deps: { clock: Clock }): RateLimits {
  const perMinute = (limit: number) => createRateLimiter({ clock: deps.clock, limit, windowMs: MINUTE });
  const limiters = {
    login: perMinute(10),
    callback: perMinute(10),
    approvePage: perMinute(30),
    mutation: perMinute(30),
    desktopToken: perMinute(10),
  };
  const spend = (limiter: RateLimiter, key: string) => {
    if (!limiter.take(key)) throw new Refusal('rate_limited');
  };
  return {
    login: (remoteAddr) => spend(limiters.login, addressBucket(remoteAddr)),
    callback: (remoteAddr) => spend(limiters.callback, addressBucket(remoteAddr)),
    approvePage: (personId) => spend(limiters.approvePage, personId),
    mutation: (personId) => spend(limiters.mutation, personId),
    desktopToken: (remoteAddr) => spend(limiters.desktopToken, addressBucket(remoteAddr)),
  };
}
