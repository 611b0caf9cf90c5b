import { z } from 'zod';
import { browserProcedure, router, signedInProcedure } from '../http/trpc.ts';
import type { RateLimits } from './rate-limit.ts';
import type { Sessions } from './sessions.ts';

/** `sessions.*`: one's own sessions. A desktop session can only end itself. */
export function createSessionsRouter(deps: { sessions: Sessions; limits: Pick<RateLimits, 'mutation'> }) {
  const { sessions, limits } = deps;
  return router({
    list: signedInProcedure.query(({ ctx }) => sessions.list(ctx.viewer)),
    revoke: signedInProcedure
      .input(z.object({ handle: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) }))
      .mutation(({ ctx, input }) => {
        limits.mutation(ctx.viewer.person.id);
        return sessions.revoke(ctx.viewer, input.handle);
      }),
    revokeOthers: browserProcedure.mutation(async ({ ctx }) => {
      limits.mutation(ctx.viewer.person.id);
      return { ended: await sessions.revokeOthers(ctx.viewer) };
    }),
    signOut: signedInProcedure.mutation(({ ctx }) => sessions.signOut(ctx.viewer)),
  });
}
