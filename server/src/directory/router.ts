import { z } from 'zod';
import { uuid } from '#shared/names.ts';
import { adminProcedure, adminViewProcedure, router } from '../http/trpc.ts';
import type { Directory } from './directory.ts';
import type { Numbers } from './numbers.ts';

const hold = z.object({ id: uuid, digest: z.string().max(64) });

/** `directory.*`: what is served, what waits for an operator, and what the source said that cannot be served. */
export function createDirectoryRouter(deps: { directory: Directory; numbers: Pick<Numbers, 'releaseName'> }) {
  const { directory, numbers } = deps;
  const actorOf = (ctx: { viewer: { person: { username: string } }; remoteAddr: string }) => ({
    username: ctx.viewer.person.username,
    remoteAddr: ctx.remoteAddr,
  });
  return router({
    status: adminViewProcedure.query(() => directory.status()),
    lints: adminViewProcedure.query(() => directory.lints().slice(0, 1000)),
    holds: adminViewProcedure.query(() => directory.holds()),
    refresh: adminProcedure.mutation(() => directory.refresh('console')),
    confirm: adminProcedure.input(hold).mutation(({ ctx, input }) => directory.confirm(input, actorOf(ctx))),
    reject: adminProcedure.input(hold).mutation(({ ctx, input }) => directory.reject(input, actorOf(ctx))),
    releaseName: adminProcedure.input(z.object({ name: z.string().max(64) })).mutation(async ({ ctx, input }) => {
      await numbers.releaseName(input.name, actorOf(ctx));
      directory.rebuild();
    }),
  });
}
