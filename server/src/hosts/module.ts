import { Counter, Gauge } from 'prom-client';
import type { LogHeads } from '../events/heads.ts';
import type { ApproverKeys } from '../passkeys/approver-keys.ts';
import type { Ground, Module } from '../platform/module.ts';
import { createRateLimiter } from '../platform/rate-limiter.ts';
import { createLives, endsSoon, lifeOf } from './certificate-life.ts';
import { createHostApi } from './host-api-routes.ts';
import { hostRoutes } from './host-routes.ts';
import { createLogReports } from './log-reports.ts';
import { createHostsRouter } from './router.ts';
import type { HostService } from './service.ts';
import { countLiveHosts, liveCertificates } from './store.ts';

const MINUTE_MS = 60_000;

/** Managed hosts: who may speak as which, and what they may ask. */
export function hostsModule(
  ground: Ground & { hosts: HostService; approverKeys: Pick<ApproverKeys, 'since'>; heads: LogHeads },
) {
  const { config, db, clock, hosts } = ground;
  const counter = (name: string, help: string) => new Counter({ name: `identree_${name}`, help, registers: [] });
  const failures = counter('auth_failures_total', 'Host requests that could not be authenticated.');
  const rejections = counter('rate_limit_rejections_total', 'Requests refused by a limit.');
  const lives = createLives();
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
      hostApi(hostRoutes({ ...ground, enrolment: hosts, reports: hosts, logReports: createLogReports(ground) })),
    ],
    metrics: [
      failures,
      rejections,
      new Gauge({
        name: 'identree_registered_hosts',
        help: 'Enrolled hosts that are not revoked.',
        registers: [],
        async collect() {
          this.set(await countLiveHosts(db.query));
        },
      }),
      new Gauge({
        name: 'identree_host_certificates_ending',
        help: 'Certificates of hosts that should have been renewed long ago: they end within 30 days, or have ended.',
        registers: [],
        async collect() {
          const now = clock.now();
          const ending = (await liveCertificates(db.query)).map(lives).filter((life) => life && endsSoon(life, now));
          this.set(ending.length);
        },
      }),
      new Gauge({
        name: 'identree_ca_certificate_expiry_timestamp_seconds',
        help: 'When the certificate of the embedded CA ends.',
        registers: [],
        collect() {
          this.set((lifeOf(ground.keys.ca.certificatePem)?.until ?? 0) / 1000);
        },
      }),
    ],
    jobs: [{ name: 'spent nonces', everyMs: MINUTE_MS, run: hosts.forgetNonces }],
    procedures: { hosts: createHostsRouter({ hosts, now: clock.now, lives }) },
    /** Serves what other modules have for hosts. */
    hostApi,
  } satisfies Module & Record<string, unknown>;
}
