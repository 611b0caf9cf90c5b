/** Counters since the server started, for metrics. */
export interface Stats {
  connections: number;
  accepted: number;
  queries: Record<QueryBase, number>;
  bindFailures: number;
  /** Why something was refused or cut off → how often. */
  rejected: Record<string, number>;
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
    rejected: {},
    entries: 0,
    bytes: 0,
    searchDurations: SEARCH_SECONDS.map(() => 0).concat(0),
    searchSeconds: 0,
  };
}

export function reject(stats: Stats, reason: string): void {
  stats.rejected[reason] = (stats.rejected[reason] ?? 0) + 1;
}

/** @param milliseconds how long a search took. */
export function observeSearch(stats: Stats, milliseconds: number): void {
  const seconds = milliseconds / 1000;
  stats.searchSeconds += seconds;
  let bucket = 0;
  while (bucket < SEARCH_SECONDS.length && seconds > SEARCH_SECONDS[bucket]!) bucket++;
  stats.searchDurations[bucket]!++;
}
