import { LEASE_SECONDS } from '#shared/host-api.ts';

/**
 * Until when the host of a request may be silent before whoever approves hears that nobody waits any more: counted from when
 * the database was there again, because until then the host has asked in vain.
 *
 * @param leaseUntil as it was written when the host was heard of last
 * @param troubleAgoMs how long ago the database failed somebody here last; null: it never did
 */
export const leaseOf = (leaseUntil: number, now: number, troubleAgoMs: number | null): number =>
  troubleAgoMs === null ? leaseUntil : Math.max(leaseUntil, now - troubleAgoMs + LEASE_SECONDS * 1000);
