import { certificateRequest, enrolRequest, heartbeatRequest } from '#shared/host-api.ts';
import type { EventLog } from '../events/log.ts';
import { type HostOperation, hostOperation } from '../http/host-operation.ts';
import type { ApproverKeys } from '../passkeys/approver-keys.ts';
import type { Clock } from '../platform/clock.ts';
import type { Enrolment } from './enrolment.ts';

/** What hosts do about themselves: enrol, tell that they live, renew their certificate. */
export function hostRoutes(deps: {
  enrolment: Pick<Enrolment, 'enrol' | 'heartbeat' | 'renewCertificate'>;
  events: Pick<EventLog, 'head'>;
  approverKeys: Pick<ApproverKeys, 'since'>;
  clock: Clock;
}): HostOperation[] {
  const { enrolment } = deps;
  return [
    hostOperation({
      method: 'POST',
      path: '/enroll',
      body: enrolRequest,
      guessable: true,
      run: async ({ request, body, remoteAddr }) => ({ grant: await enrolment.enrol(request, body(), remoteAddr) }),
    }),
    hostOperation({
      method: 'POST',
      path: '/heartbeat',
      body: heartbeatRequest,
      proves: true,
      run: ({ act }) =>
        act(async (work, host, body) => {
          await enrolment.heartbeat(work, host, body);
          return {
            now: deps.clock.now(),
            state: host.state,
            approverKeys: (await deps.approverKeys.since(work.query, body.approverKeysVersion)).token,
            checkpoint: await deps.events.head(),
          };
        }),
    }),
    hostOperation({
      method: 'POST',
      path: '/certificate',
      body: certificateRequest,
      proves: true,
      run: ({ act, remoteAddr }) =>
        act(async (work, host, body) => ({ grant: await enrolment.renewCertificate(work, host, body, remoteAddr) })),
    }),
  ];
}
