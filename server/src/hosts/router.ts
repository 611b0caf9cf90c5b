import { z } from 'zod';
import { hostGroup, uuid } from '#shared/names.ts';
import type { CertificateAuthority, Life } from '../certificates/authority.ts';
import { adminProcedure, adminViewProcedure, router } from '../http/trpc.ts';
import { endsSoon } from './certificate-life.ts';
import type { Checks, KeptChecks } from './checks.ts';
import type { Operator } from './operators.ts';
import type { KeptReport } from './reports.ts';
import type { HostService } from './service.ts';
import { lifeOfHost } from './store.ts';

/** The person who calls, as the one who changes something. */
const byOf = (ctx: { viewer: { person: { username: string } }; remoteAddr: string }): Operator => ({
  username: ctx.viewer.person.username,
  remoteAddr: ctx.remoteAddr,
});

/** Most grants of one host that are listed; `count` says how many there are. */
const MAX_LISTED = 50;

/** What a host says of itself, for people; null: nothing yet. */
function shownReport(kept: KeptReport | undefined) {
  if (!kept) return null;
  const { grants, unread, drift, cut } = kept.report;
  return { at: kept.reportedAt, grants: grants.slice(0, MAX_LISTED), count: grants.length, unread, drift, cut };
}

/** Until when it is good. `ends_soon`: somebody should look why it was not renewed. Null: it cannot be read. */
function shownCertificate(life: Life | null, now: number) {
  if (life === null) return null;
  const state =
    life.until <= now ? ('ended' as const) : endsSoon(life, now) ? ('ends_soon' as const) : ('good' as const);
  return { until: life.until, state };
}

/** How many things are wrong on a host by its own words; null: it has not looked yet. */
function shownChecks(kept: KeptChecks | undefined) {
  return kept ? { at: kept.at, problems: kept.lines.filter(({ problem }) => problem !== null).length } : null;
}

export function createHostsRouter(deps: {
  hosts: HostService;
  ca: Pick<CertificateAuthority, 'certificates'>;
  checks: Pick<Checks, 'all' | 'of'>;
  now: () => number;
}) {
  const { hosts } = deps;
  return router({
    list: adminViewProcedure.query(async () => {
      const now = deps.now();
      const checks = new Map((await deps.checks.all()).map((one) => [one.hostId, one]));
      const reports = new Map((await hosts.reports()).map((one) => [one.hostId, one]));
      return {
        now,
        /** Who signs for hosts, and who counts besides while one takes the place of another. */
        authorities: deps.ca
          .certificates()
          .map(({ role, life }) => ({ role, certificate: shownCertificate(life, now) })),
        hosts: (await hosts.list()).map((host) => ({
          id: host.id,
          hostname: host.hostname,
          state: host.state,
          group: host.host_group,
          keyFingerprint: host.api_key_thumbprint,
          enrolledAt: host.enrolled_at,
          enrolledWith: host.enrolled_with,
          lastSeenAt: host.last_seen_at,
          agentVersion: host.agent_version,
          osInfo: host.os_info,
          clockSkewMs: host.clock_skew_ms,
          remoteAddr: host.remote_addr,
          certificate: shownCertificate(lifeOfHost(host), now),
          /** The directory waits for what the host says of itself. */
          reportDue: host.report_due,
          report: shownReport(reports.get(host.id)),
          checks: shownChecks(checks.get(host.id)),
        })),
      };
    }),
    /** What a host found when it looked at itself last, as `identree doctor` says it there; null: nothing yet. */
    checks: adminViewProcedure.input(z.object({ hostId: uuid })).query(async ({ input }) => {
      const kept = await deps.checks.of(input.hostId);
      return kept && { at: kept.at, lines: kept.lines };
    }),
    /** What is known of the journals that a host keeps of what it did without a server. */
    journals: adminViewProcedure
      .input(z.object({ hostId: uuid }))
      .query(({ input }) => hosts.journalViews(input.hostId)),
    createToken: adminProcedure
      .input(z.object({ hostname: z.string().trim().min(1).max(253) }))
      .mutation(({ ctx, input }) => hosts.createToken(input.hostname, ctx.viewer.person.username, ctx.remoteAddr)),
    confirm: adminProcedure
      .input(z.object({ hostId: uuid, fingerprint: z.string().max(64) }))
      .mutation(({ ctx, input }) => hosts.confirm(input.hostId, input.fingerprint, byOf(ctx))),
    release: adminProcedure
      .input(z.object({ hostId: uuid }))
      .mutation(({ ctx, input }) => hosts.release(input.hostId, byOf(ctx))),
    acceptJournals: adminProcedure
      .input(z.object({ hostId: uuid }))
      .mutation(({ ctx, input }) => hosts.acceptJournals(input.hostId, byOf(ctx))),
    setGroup: adminProcedure
      .input(z.object({ hostId: uuid, group: hostGroup.nullable() }))
      .mutation(({ ctx, input }) => hosts.setGroup(input.hostId, input.group, byOf(ctx))),
    revoke: adminProcedure
      .input(z.object({ hostId: uuid }))
      .mutation(({ ctx, input }) => hosts.revoke(input.hostId, byOf(ctx))),
  });
}
