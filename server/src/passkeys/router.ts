import { z } from 'zod';
import { base64url } from '#shared/names.ts';
import type { RateLimits } from '../auth/rate-limit.ts';
import { browserProcedure, router, signedInProcedure } from '../http/trpc.ts';
import { assertionResponse } from './assertion.ts';
import { passkeyName } from './passkey.ts';
import { type Passkeys, registrationResponse } from './service.ts';

const credentialId = base64url.min(1).max(1400);
const recoveryCode = z.string().min(1).max(64);

/** `passkeys.*`: a person's own passkeys. Everything but looking needs a browser session. */
export function createPasskeysRouter(deps: { passkeys: Passkeys; limits: Pick<RateLimits, 'mutation'> }) {
  const { passkeys } = deps;
  const change = browserProcedure.use(({ ctx, next }) => {
    deps.limits.mutation(ctx.viewer.person.id);
    return next({ ctx });
  });
  return router({
    list: signedInProcedure.query(({ ctx }) => passkeys.list(ctx.viewer)),
    additionOptions: change.mutation(({ ctx }) => passkeys.additionOptions(ctx.viewer)),
    registrationOptions: change
      .input(z.object({ assertion: assertionResponse.optional(), recoveryCode: recoveryCode.optional() }).optional())
      .mutation(({ ctx, input }) => passkeys.registrationOptions(ctx.viewer, input ?? {})),
    register: change
      .input(z.object({ name: passkeyName, response: registrationResponse, recoveryCode: recoveryCode.optional() }))
      .mutation(({ ctx, input }) => passkeys.register(ctx.viewer, input)),
    rename: change
      .input(z.object({ credentialId, name: passkeyName }))
      .mutation(({ ctx, input }) => passkeys.rename(ctx.viewer, input)),
    removalOptions: change
      .input(z.object({ credentialId }))
      .mutation(({ ctx, input }) => passkeys.removalOptions(ctx.viewer, input)),
    remove: change
      .input(z.object({ credentialId, assertion: assertionResponse }))
      .mutation(({ ctx, input }) => passkeys.remove(ctx.viewer, input)),
  });
}
