import { z } from 'zod';
import { hostGroup, uuid } from '#shared/names.ts';
import { adminProcedure, adminViewProcedure, router } from '../http/trpc.ts';
import type { Operator } from './operators.ts';
import type { HostService } from './service.ts';

/** The person who calls, as the one who changes something. */
const byOf = (ctx: { viewer: { person: { username: string } }; remoteAddr: string }): Operator => ({
  username: ctx.viewer.person.username,
  remoteAddr: ctx.remoteAddr,
});

export function createHostsRouter(deps: { hosts: HostService; now: () => number }) {
  const { hosts } = deps;
  return router({
    list: adminViewProcedure.query(async () => ({
      now: deps.now(),
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
      })),
    })),
    createToken: adminProcedure
      .input(z.object({ hostname: z.string().trim().min(1).max(253) }))
      .mutation(({ ctx, input }) => hosts.createToken(input.hostname, ctx.viewer.person.username, ctx.remoteAddr)),
    confirm: adminProcedure
      .input(z.object({ hostId: uuid, fingerprint: z.string().max(64) }))
      .mutation(({ ctx, input }) => hosts.confirm(input.hostId, input.fingerprint, byOf(ctx))),
    release: adminProcedure
      .input(z.object({ hostId: uuid }))
      .mutation(({ ctx, input }) => hosts.release(input.hostId, byOf(ctx))),
    setGroup: adminProcedure
      .input(z.object({ hostId: uuid, group: hostGroup.nullable() }))
      .mutation(({ ctx, input }) => hosts.setGroup(input.hostId, input.group, byOf(ctx))),
    revoke: adminProcedure
      .input(z.object({ hostId: uuid }))
      .mutation(({ ctx, input }) => hosts.revoke(input.hostId, byOf(ctx))),
  });
}
