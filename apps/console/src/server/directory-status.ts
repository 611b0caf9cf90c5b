import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { api, refresh } from './api.ts';
import type { LiveState } from './live.ts';
import { useMe } from './me.ts';

const BUSY_MS = 1000;
const LIVE_MS = 60_000;
const BLIND_MS = 15_000;

/** How the directory stands; data null: this server serves none. Administrators only, nobody else asks. */
export function useDirectoryStatus(live: LiveState = 'live') {
  const admin = useMe().role === 'admin';
  return useQuery({
    ...api.directory.status.queryOptions(undefined, { enabled: admin }),
    refetchInterval: ({ state: { data } }) =>
      data === null ? false : data?.busy ? BUSY_MS : live === 'live' ? LIVE_MS : BLIND_MS,
  });
}

/**
 * Follows the directory for the whole console; gives the number of changes that wait. Events tell when somebody changed
 * something, and the tree is built after that: what depends on the tree is asked for once more when it was.
 */
export function useDirectoryUpdates(live: LiveState): number {
  const { data } = useDirectoryStatus(live);
  const builtAt = data?.builtAt;
  useEffect(() => {
    if (builtAt === undefined) return;
    for (const part of [api.directory.holds, api.directory.lints, api.sudoRules.served, api.sudoRules.simulate])
      void refresh(part.pathKey());
  }, [builtAt]);
  return data?.held ?? 0;
}
