import { breakGlassStateRequest, breakGlassUse, escrowRequest } from '#shared/break-glass-api.ts';
import { type HostOperation, hostOperation } from '../http/host-operation.ts';
import type { Keeping } from './keeping.ts';
import type { BreakGlass } from './service.ts';

/** What hosts say and ask about their break-glass passwords. */
export function breakGlassHostRoutes(deps: {
  breakGlass: Pick<BreakGlass, 'state' | 'use'>;
  keeping: Pick<Keeping, 'isKept' | 'keep'>;
}): HostOperation[] {
  const { breakGlass, keeping } = deps;
  return [
    hostOperation({
      method: 'POST',
      path: '/break-glass/state',
      body: breakGlassStateRequest,
      run: ({ act }) => act((work, host, body) => breakGlass.state(work, host, body)),
    }),
    hostOperation({
      method: 'POST',
      path: '/break-glass/uses',
      body: breakGlassUse,
      run: ({ act, remoteAddr }) =>
        act(async (work, host, body) => {
          await breakGlass.use(work, host, body, remoteAddr);
          return {};
        }),
    }),
    hostOperation({
      method: 'POST',
      path: '/break-glass/escrow',
      body: escrowRequest,
      ordinary: ['escrow_off', 'escrow_busy', 'escrow_failed'],
      async run({ act, remoteAddr }) {
        const asked = await act(async (work, host, body) => ({
          host,
          body,
          kept: await keeping.isKept(work.query, host.id, body.id),
        }));
        // Outside of the transaction: no other request waits for the keeper.
        if (!asked.kept) await keeping.keep(asked.host, asked.body, remoteAddr);
        return {};
      },
    }),
  ];
}
