import { Refusal } from '#shared/errors.ts';
import { addressBucket } from '../platform/client-address.ts';
import type { Clock } from '../platform/clock.ts';
import { createRateLimiter, type RateLimiter } from '../platform/rate-limiter.ts';

/**
 * The limits of the browser side, by person or browser where there is one: a whole company can be behind one address, and
 * what one of its people does must not keep the others out. Each throws `rate_limited`.
 */
export interface RateLimits {
  /** A sign-in that begins. `browser`: value of its login cookie. */
  login(who: { personId: string | null; browser: string | null; remoteAddr: string }): void;
  /** A callback that belongs to no sign-in. One that does is counted where it began. */
  strayCallback(remoteAddr: string): void;
  /** The approval page by code. Nothing is looked up for who is not signed in. */
  approvePage(personId: string): void;
  mutation(personId: string): void;
  /** Something that is looked at. A console asks again when something happens, at most once a second for each of its lists. */
  query(personId: string): void;
  /** One for each session that ends, all from the provider's address. */
  backchannelLogout(remoteAddr: string): void;
  desktopToken(remoteAddr: string): void;
  /** A code of no desktop app. */
  wrongDesktopCode(remoteAddr: string): void;
}

const MINUTE = 60_000;
/** Above what a company does behind one address at nine in the morning, below what the database would notice. */
const OF_AN_ADDRESS = 600;
/** Above several windows that follow a busy installation, below what keeps approvals waiting. */
const QUERIES = 1200;

export function createRateLimits(deps: { clock: Clock }): RateLimits {
  const perMinute = (limit: number) => createRateLimiter({ clock: deps.clock, limit, windowMs: MINUTE });
  const limiters = {
    loginOfPerson: perMinute(10),
    loginOfBrowser: perMinute(10),
    loginAtAddress: perMinute(OF_AN_ADDRESS),
    strayCallback: perMinute(10),
    approvePage: perMinute(30),
    // Above what an administrator does who goes through a list one by one.
    mutation: perMinute(120),
    query: perMinute(QUERIES),
    backchannelLogout: perMinute(OF_AN_ADDRESS),
    desktopToken: perMinute(OF_AN_ADDRESS),
    wrongDesktopCode: perMinute(10),
  };
  const spend = (limiter: RateLimiter, key: string) => {
    if (!limiter.take(key)) throw new Refusal('rate_limited');
  };
  return {
    login({ personId, browser, remoteAddr }) {
      if (personId !== null) return spend(limiters.loginOfPerson, personId);
      if (browser !== null) spend(limiters.loginOfBrowser, browser);
      spend(limiters.loginAtAddress, addressBucket(remoteAddr));
    },
    strayCallback: (remoteAddr) => spend(limiters.strayCallback, addressBucket(remoteAddr)),
    approvePage: (personId) => spend(limiters.approvePage, personId),
    mutation: (personId) => spend(limiters.mutation, personId),
    query: (personId) => spend(limiters.query, personId),
    backchannelLogout: (remoteAddr) => spend(limiters.backchannelLogout, addressBucket(remoteAddr)),
    desktopToken: (remoteAddr) => spend(limiters.desktopToken, addressBucket(remoteAddr)),
    wrongDesktopCode: (remoteAddr) => spend(limiters.wrongDesktopCode, addressBucket(remoteAddr)),
  };
}
