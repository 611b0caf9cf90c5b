import { Counter } from 'prom-client';
import type { CertificateAuthority } from '../certificates/authority.ts';
import type { LogHeads } from '../events/heads.ts';
import type { ApproverKeys } from '../passkeys/approver-keys.ts';
import type { Ground, Module } from '../platform/module.ts';
import { createRateLimiter } from '../platform/rate-limiter.ts';
import type { CaRotation } from './ca-rotation.ts';
import { createChecks } from './checks.ts';
import { createHostDefaults } from './client-defaults.ts';
import { createHostApi } from './host-api-routes.ts';
import { hostRoutes } from './host-routes.ts';
import { createLogReports } from './log-reports.ts';
import { hostMetrics } from './metrics.ts';
import { createHostsRouter } from './router.ts';
import type { HostService } from './service.ts';

const MINUTE_MS = 60_000;
const CA_EVENTS: ReadonlySet<string> = new Set(['ca_rotation_begun', 'ca_activated', 'ca_rotation_finished']);

/** Managed hosts: who may speak as which, and what they may ask. */
export function hostsModule(
  ground: Ground & {
    hosts: HostService;
    approverKeys: Pick<ApproverKeys, 'since'>;
    heads: LogHeads;
    ca: CertificateAuthority;
    caRotation: CaRotation;
    policyForGrants: () => Promise<string | null>;
  },
) {
  const { config, db, clock, hosts, ca, caRotation, events, log } = ground;
  let unfollow: (() => void) | null = null;
  const counter = (name: string, help: string) => new Counter({ name: `identree_${name}`, help, registers: [] });
  const failures = counter('auth_failures_total', 'Host requests that could not be authenticated.');
  const rejections = counter('rate_limit_rejections_total', 'Requests refused by a limit.');
  const checks = createChecks(ground);
  const perMinute = (limit: number) => createRateLimiter({ clock, limit, windowMs: MINUTE_MS });
  const hostApi = createHostApi({
    db,
    externalUrl: config.externalUrl,
    admission: hosts,
    refusalEvents: perMinute(20),
    failures: perMinute(30),
    onRefusal: ({ status }) => {
      if (status === 401) failures.inc();
      if (status === 429) rejections.inc();
    },
  });
  return {
    name: 'hosts',
    routes: [
      hostApi(
        hostRoutes({
          ...ground,
          enrolment: hosts,
          reports: hosts,
          journals: hosts,
          checks,
          logReports: createLogReports(ground),
        }),
      ),
    ],
    metrics: [failures, rejections, ...hostMetrics({ db, clock, ca, caRotation })],
    async start() {
      // What another process did to the keys folder counts here when its event is read.
      unfollow = events.follow(({ event }) => {
        if (!CA_EVENTS.has(event)) return;
        void caRotation.reload().catch((err: unknown) => log.error({ err }, 'the authorities could not be read'));
      });
    },
    async stop() {
      unfollow?.();
    },
    jobs: [{ name: 'spent nonces', everyMs: MINUTE_MS, run: hosts.forgetNonces }],
    procedures: { hosts: createHostsRouter({ hosts, ca, checks, now: clock.now }) },
    /** Serves what other modules have for hosts. */
    hostApi,
    hostDefaults: createHostDefaults(ground),
  } satisfies Module & Record<string, unknown>;
}
