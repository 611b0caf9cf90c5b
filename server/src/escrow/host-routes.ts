import {
  type BreakGlassWanted,
  breakGlassStateRequest,
  breakGlassUse,
  escrowRequest,
  stateQuery,
} from '#shared/break-glass-api.ts';
import type { EventName, EventRecord } from '#shared/events.ts';
import type { Waiters } from '../events/waiters.ts';
import type { HostDefaults } from '../hosts/client-defaults.ts';
import type { HostService } from '../hosts/service.ts';
import { type HostOperation, hostOperation } from '../http/host-operation.ts';
import type { Keeping } from './keeping.ts';
import type { BreakGlass } from './service.ts';

/** What a host is to hear of at once: another password is wanted, or it may not speak any more. */
const NEWS: ReadonlySet<string> = new Set<EventName>([
  'revealed_breakglass',
  'breakglass_rotation_requested',
  'host_removed',
  'host_quarantined',
]);

/** The host that waits for this event. */
export const hostTold = ({ event, hostId }: EventRecord): string | null => (NEWS.has(event) ? hostId : null);

/** What hosts say and ask about their break-glass passwords. */
export function breakGlassHostRoutes(deps: {
  breakGlass: Pick<BreakGlass, 'state' | 'wanted' | 'use'>;
  keeping: Pick<Keeping, 'isKept' | 'keep'>;
  /** By host, of what {@link hostTold} says. */
  waiters: Pick<Waiters, 'wait'>;
  hosts: Pick<HostService, 'stillSpeaking'>;
  /** Told with the same answer: a host asks all the time. */
  hostDefaults: HostDefaults;
}): HostOperation[] {
  const { breakGlass, keeping, waiters, hosts, hostDefaults } = deps;
  return [
    hostOperation({
      method: 'POST',
      path: '/break-glass/state',
      body: breakGlassStateRequest,
      query: stateQuery,
      async run({ act, query, gone }): Promise<BreakGlassWanted> {
        const { defaults, nonce } = query;
        const isNews = defaults !== undefined && nonce !== undefined && hostDefaults.isNews(defaults);
        const { hostId, wanted, changed } = await act(async (work, host, body) => {
          // Waited for before it is read what is wanted: a reveal in between must not be slept through.
          const changed = waiters.wait(host.id, query.wait * 1000, gone);
          const wanted = await breakGlass.state(work, host, body);
          const isDue = body.enabled && body.current !== null && body.current.createdAt < (wanted.rotateBefore ?? 0);
          return { hostId: host.id, wanted, changed: isDue || isNews ? null : changed };
        });
        if (isNews) return { ...wanted, clientDefaults: await hostDefaults.signed(hostId, nonce) };
        if (changed === null || !(await changed)) return wanted;
        await hosts.stillSpeaking(hostId);
        return breakGlass.wanted(hostId);
      },
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
