import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { api, queryClient } from './api.ts';
import type { LiveState } from './live.ts';
import { useMe } from './me.ts';

const BUSY_MS = 1000;
const LIVE_MS = 60_000;
const BLIND_MS = 15_000;

/**
 * How the directory stands; data null: this server serves none. Administrators only, nobody else asks.
 *
 * Events tell when somebody changed something; the tree is built after that. So this looks again while the server is
 * busy, and what depends on the tree is asked for anew once it was built.
 */
export function useDirectoryStatus(live: LiveState = 'live') {
  const admin = useMe().role === 'admin';
  const status = useQuery({
    ...api.directory.status.queryOptions(undefined, { enabled: admin }),
    refetchInterval: ({ state: { data } }) =>
      data === null ? false : data?.busy ? BUSY_MS : live === 'live' ? LIVE_MS : BLIND_MS,
  });
  const builtAt = status.data?.builtAt;
  useEffect(() => {
    if (builtAt === undefined) return;
    for (const queryKey of [api.directory.holds, api.directory.lints, api.sudoRules.served, api.sudoRules.simulate])
      void queryClient.invalidateQueries({ queryKey: queryKey.pathKey() });
  }, [builtAt]);
  return status;
}
