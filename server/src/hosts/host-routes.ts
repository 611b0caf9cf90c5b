import { certificateRequest, enrolRequest, heartbeatRequest, reportRequest } from '#shared/host-api.ts';
import type { LogHeads } from '../events/heads.ts';
import type { EventLog } from '../events/log.ts';
import { type HostOperation, hostOperation } from '../http/host-operation.ts';
import type { ApproverKeys } from '../passkeys/approver-keys.ts';
import type { Clock } from '../platform/clock.ts';
import type { CaRotation } from './ca-rotation.ts';
import type { Checks } from './checks.ts';
import type { Enrolment } from './enrolment.ts';
import type { HostJournals } from './journals.ts';
import type { LogReports } from './log-reports.ts';
import type { Reports } from './reports.ts';

/** What hosts do about themselves: enrol, tell that they live, renew their certificate. */
export function hostRoutes(deps: {
  enrolment: Pick<Enrolment, 'enrol' | 'heartbeat' | 'renewCertificate'>;
  reports: Pick<Reports, 'keepReport' | 'reportDigestOf'>;
  checks: Pick<Checks, 'keep'>;
  journals: Pick<HostJournals, 'noteJournals' | 'journalsKept'>;
  events: Pick<EventLog, 'head'>;
  heads: Pick<LogHeads, 'show'>;
  logReports: Pick<LogReports, 'note'>;
  approverKeys: Pick<ApproverKeys, 'since'>;
  caRotation: Pick<CaRotation, 'heard' | 'shown'>;
  /** Which policy grants of hosts have to be of. */
  policyForGrants: () => Promise<string | null>;
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
      async run({ act }) {
        const { seen, ...answer } = await act(async (work, host, body) => {
          await enrolment.heartbeat(work, host, body);
          await deps.logReports.note(work, host, body);
          await deps.caRotation.heard(work, host, body.authorities);
          await deps.journals.noteJournals(work, host, body.journals);
          if (body.checks) await deps.checks.keep(work, host, body.checks);
          return {
            now: deps.clock.now(),
            state: host.state,
            approverKeys: (await deps.approverKeys.since(work.query, body.approverKeysVersion)).token,
            checkpoint: await deps.events.head(),
            seen: body.log === undefined ? null : body.checkpointSeq,
            reportDigest: await deps.reports.reportDigestOf(work, host.id),
            takesChecks: true,
            journals: await deps.journals.journalsKept(work, host.id),
            grants: { revokedTo: host.grants_revoked_to, policyVersion: await deps.policyForGrants(), runs: true },
          };
        });
        // After the transaction: what is shown is durable, and at least what any server has shown before.
        return { ...answer, authorities: deps.caRotation.shown(), log: await deps.heads.show(seen) };
      },
    }),
    hostOperation({
      method: 'POST',
      path: '/report',
      body: reportRequest,
      proves: true,
      status: 204,
      run: ({ act }) => act((work, host, body) => deps.reports.keepReport(work, host, body.report)),
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
