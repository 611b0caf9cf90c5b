import { z } from 'zod';
import { Refusal } from '#shared/errors.ts';
import { uuid } from '#shared/names.ts';
import { adminProcedure, adminViewProcedure, router } from '../http/trpc.ts';
import { assertionResponse } from '../passkeys/assertion-response.ts';
import type { SecondPerson } from './second-person.ts';
import type { BreakGlass } from './service.ts';

const reason = z.string().trim().min(3).max(500);

/** `breakGlass.*`: what administrators see and do about the passwords that open hosts. */
export function createBreakGlassRouter(deps: { breakGlass: BreakGlass; secondPerson: SecondPerson }) {
  const { breakGlass, secondPerson } = deps;
  return router({
    list: adminViewProcedure.query(({ ctx }) => breakGlass.list(ctx.viewer)),
    rotate: adminProcedure
      .input(z.object({ hostId: uuid }))
      .mutation(({ ctx, input }) =>
        breakGlass.rotate(input.hostId, { username: ctx.viewer.person.username, remoteAddr: ctx.remoteAddr }),
      ),
    askReveal: adminProcedure
      .input(z.object({ hostId: uuid, reason }))
      .mutation(({ ctx, input }) => secondPerson.ask(ctx.viewer, input)),
    confirmRevealOptions: adminProcedure
      .input(z.object({ id: uuid }))
      .mutation(({ ctx, input }) => secondPerson.confirmOptions(ctx.viewer, input)),
    confirmReveal: adminProcedure
      .input(z.object({ id: uuid, assertion: assertionResponse }))
      .mutation(({ ctx, input }) => secondPerson.confirm(ctx.viewer, input)),
    revealOptions: adminProcedure
      .input(z.object({ hostId: uuid, reason }))
      .mutation(({ ctx, input }) => breakGlass.revealOptions(ctx.viewer, input)),
    reveal: adminProcedure
      .input(z.object({ hostId: uuid, reason, assertion: assertionResponse }))
      .mutation(async ({ ctx, input }) => {
        try {
          return await breakGlass.reveal(ctx.viewer, input);
        } catch (error) {
          if (error instanceof Refusal) await breakGlass.noteRefusal(ctx.viewer, input, error.code);
          throw error;
        }
      }),
  });
}
