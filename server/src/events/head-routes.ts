import { logQuery } from '#shared/log-head.ts';
import { type HostOperation, hostOperation } from '../http/host-operation.ts';
import type { LogHeads } from './heads.ts';

/** Further hashes for hosts that have been away for more events than a heartbeat carries. They are no secret among hosts. */
export function headRoutes(heads: Pick<LogHeads, 'hashes'>): HostOperation[] {
  return [
    hostOperation({
      method: 'GET',
      path: '/log',
      query: logQuery,
      async run({ act, query }) {
        await act(async () => undefined);
        return { hashes: await heads.hashes(query.after, query.until) };
      },
    }),
  ];
}
