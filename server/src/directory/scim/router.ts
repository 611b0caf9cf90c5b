import { z } from 'zod';
import { uuid } from '#shared/names.ts';
import { adminProcedure, adminViewProcedure, router } from '../../http/trpc.ts';
import type { Scim } from './service.ts';

/** `scim.*`: the clients that may push users and groups. */
export function createScimRouter(
  /** @throws Refusal when there is no directory */
  scim: () => Scim,
) {
  const actorOf = (ctx: { viewer: { person: { username: string } }; remoteAddr: string }) => ({
    username: ctx.viewer.person.username,
    remoteAddr: ctx.remoteAddr,
  });
  return router({
    clients: adminViewProcedure.query(() => scim().clients()),
    createClient: adminProcedure
      .input(
        z.object({
          name: z.string().trim().min(1).max(64),
          issuer: z.string().min(1).max(512),
          sudo: z.boolean().default(false),
          days: z.int().min(1).max(730).default(365),
        }),
      )
      .mutation(({ ctx, input }) => scim().createClient(input, actorOf(ctx))),
    revokeClient: adminProcedure
      .input(z.object({ id: uuid }))
      .mutation(({ ctx, input }) => scim().revokeClient(input.id, actorOf(ctx))),
  });
}
