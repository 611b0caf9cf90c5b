import { Refusal } from '#shared/errors.ts';
import { createChallengeRequest, outcomeRequest, pollQuery } from '#shared/host-api.ts';
import { runRequest } from '#shared/host-run.ts';
import { challengeId } from '#shared/names.ts';
import { grantEntry } from '#shared/offline-grant.ts';
import type { Waiters } from '../events/waiters.ts';
import type { Host } from '../hosts/store.ts';
import { type HostOperation, hostOperation, sharedOperation } from '../http/host-operation.ts';
import type { Asking } from './asking.ts';
import type { OfflineGrants } from './offline-grants.ts';
import type { OfflineUses } from './offline-uses.ts';

function idOf({ id }: Readonly<Record<string, string>>): string {
  const parsed = challengeId.safeParse(id);
  if (!parsed.success) throw new Refusal('challenge_not_found');
  return parsed.data;
}

/** What hosts do about requests: ask, wait for the answer, withdraw, and tell what became of it. */
export function challengeRoutes({
  asking,
  waiters,
  grants,
  uses,
}: {
  asking: Asking;
  waiters: Waiters;
  grants: Pick<OfflineGrants, 'inForce'>;
  uses: OfflineUses;
}): HostOperation[] {
  return [
    sharedOperation({
      method: 'POST',
      path: '/challenges',
      body: createChallengeRequest,
      proves: true,
      ordinary: ['approval_required'],
      status: 201,
      together: asking.create,
    }),
    hostOperation({
      method: 'GET',
      path: '/challenges/:id',
      query: pollQuery,
      async run({ act, params, query, gone }) {
        const id = idOf(params);
        const waitMs = query.wait * 1000;
        // Registered before the state is read: a decision in between must not be slept through.
        const changed = waiters.wait(id, waitMs, gone);
        let owner: Host | undefined;
        const answer = await act((work, host) => {
          owner = host;
          return asking.poll(work, host, id, waitMs, query.keys);
        });
        if (answer.status !== 'pending' || waitMs === 0) return answer;
        await changed;
        return asking.peek(owner!, id, query.keys);
      },
    }),
    hostOperation({
      method: 'DELETE',
      path: '/challenges/:id',
      async run({ act, params, remoteAddr }) {
        const id = idOf(params);
        return act((work, host) => asking.cancel(work, host, id, remoteAddr));
      },
    }),
    hostOperation({
      method: 'POST',
      path: '/challenges/:id/outcome',
      body: outcomeRequest,
      status: 204,
      async run({ act, params, remoteAddr }) {
        const id = idOf(params);
        await act((work, host, body) => asking.outcome(work, host, id, body, { remoteAddr }));
      },
    }),
    hostOperation({
      method: 'POST',
      path: '/challenges/:id/run',
      body: runRequest,
      status: 204,
      async run({ act, params, remoteAddr }) {
        const id = idOf(params);
        await act((work, host, body) => asking.run(work, host, id, body, { remoteAddr }));
      },
    }),
    hostOperation({
      method: 'GET',
      path: '/offline-grants',
      run: ({ act }) => act((_work, host) => grants.inForce(host)),
    }),
    hostOperation({
      method: 'POST',
      path: '/offline-grants/journal',
      body: grantEntry,
      run: ({ act, remoteAddr }) => act((work, host, entry) => uses.note(work, host, entry, remoteAddr)),
    }),
  ];
}
