/** The most requests that one user on one host may have waiting. Never counted across hosts: one host could block another. */
export const PENDING_PER_USER_AND_HOST = 10;
/** The most requests that may wait in all. */
export const PENDING_IN_TOTAL = 10_000;
