import { RESULT } from '../protocol/operation.ts';

/** Why a connection is ended, an attempt slowed down or a cookie refused. */
const CUT_OFF = [
  'bind_throttled',
  'bug',
  'client_certificate',
  'connections',
  'connections_per_address',
  'garbage',
  'handshake',
  'identify_failed',
  'idle',
  'incomplete_message',
  'memory',
  'message_size',
  'outdated',
  'paging_cookie',
  'plaintext_after_starttls',
  'protocol_error',
  'withdrawn',
  'write_stall',
] as const;

/** With which results an operation is refused that the connection is not allowed, or that must wait. */
const REFUSED = [
  'protocolError',
  'authMethodNotSupported',
  'unavailableCriticalExtension',
  'confidentialityRequired',
  'inappropriateAuthentication',
  'invalidCredentials',
  'invalidDnSyntax',
  'insufficientAccessRights',
  'busy',
  'unwillingToPerform',
] as const satisfies (keyof typeof RESULT)[];

export type RefusedCode = (typeof RESULT)[(typeof REFUSED)[number]];
export type CutOff = (typeof CUT_OFF)[number];
export type Rejection = CutOff | `result_${RefusedCode}`;

/** Counters since the server started, for metrics. */
export interface Stats {
  connections: number;
  accepted: number;
  queries: Record<QueryBase, number>;
  bindFailures: number;
  /** Why something was refused or cut off → how often: each from the start, so that the first time is an increase. */
  rejected: Record<Rejection, number>;
  entries: number;
  bytes: number;
  /** Searches by how long they took: upper bounds of `SEARCH_SECONDS`, the last one open. */
  searchDurations: number[];
  searchSeconds: number;
}

export type QueryBase = 'rootdse' | 'subschema' | 'base' | 'people' | 'groups' | 'sudoers' | 'other';

export const SEARCH_SECONDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

export function createStats(): Stats {
  return {
    connections: 0,
    accepted: 0,
    queries: { rootdse: 0, subschema: 0, base: 0, people: 0, groups: 0, sudoers: 0, other: 0 },
    bindFailures: 0,
    rejected: Object.fromEntries(
      [...CUT_OFF, ...REFUSED.map((name) => `result_${RESULT[name]}`)].map((reason) => [reason, 0]),
    ) as Record<Rejection, number>,
    entries: 0,
    bytes: 0,
    searchDurations: SEARCH_SECONDS.map(() => 0).concat(0),
    searchSeconds: 0,
  };
}

export function reject(stats: Stats, reason: Rejection): void {
  stats.rejected[reason] += 1;
}

/** @param milliseconds how long a search took. */
export function observeSearch(stats: Stats, milliseconds: number): void {
  const seconds = milliseconds / 1000;
  stats.searchSeconds += seconds;
  let bucket = 0;
  while (bucket < SEARCH_SECONDS.length && seconds > SEARCH_SECONDS[bucket]!) bucket++;
  stats.searchDurations[bucket]!++;
}
