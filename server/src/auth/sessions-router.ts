import { z } from 'zod';
import { browserProcedure, router, signedInProcedure } from '../http/trpc.ts';
import type { Sessions } from './sessions.ts';

/** `sessions.*`: one's own sessions. A desktop session can only end itself. */
export function createSessionsRouter({ sessions }: { sessions: Sessions }) {
  return router({
    list: signedInProcedure.query(({ ctx }) => sessions.list(ctx.viewer)),
    revoke: signedInProcedure
      .input(z.object({ handle: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) }))
      .mutation(({ ctx, input }) => sessions.revoke(ctx.viewer, input.handle)),
    revokeOthers: browserProcedure.mutation(async ({ ctx }) => ({ ended: await sessions.revokeOthers(ctx.viewer) })),
    /** For the desktop app; the browser posts the form `/signout`, which also clears the cookie. */
    signOut: signedInProcedure.mutation(async ({ ctx }) => void (await sessions.signOut(ctx.viewer))),
  });
}
