import { adminViewProcedure, router } from '../http/trpc.ts';
import type { SinkStatuses } from './status.ts';

/** `audit.*`: where events go, and how they fare there. */
export function createAuditRouter(deps: { sinks: SinkStatuses }) {
  return router({
    sinks: router({
      list: adminViewProcedure
        .meta({ rest: { method: 'GET', path: '/audit/sinks', summary: 'Audit sinks and how they fare' } })
        .query(() => deps.sinks()),
    }),
  });
}
