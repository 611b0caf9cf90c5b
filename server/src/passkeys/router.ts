import { z } from 'zod';
import { base64url } from '#shared/names.ts';
import { browserProcedure, router, signedInProcedure } from '../http/trpc.ts';
import { assertionResponse } from './assertion-response.ts';
import { passkeyName } from './passkey.ts';
import { registrationResponse } from './registration.ts';
import type { Passkeys } from './service.ts';

const credentialId = base64url.min(1).max(1400);
const recoveryCode = z.string().min(1).max(64);

/** `passkeys.*`: a person's own passkeys. Everything but looking needs a browser session. */
export function createPasskeysRouter({ passkeys }: { passkeys: Passkeys }) {
  return router({
    list: signedInProcedure.query(({ ctx }) => passkeys.list(ctx.viewer)),
    additionOptions: browserProcedure.mutation(({ ctx }) => passkeys.additionOptions(ctx.viewer)),
    registrationOptions: browserProcedure
      .input(z.object({ assertion: assertionResponse.optional(), recoveryCode: recoveryCode.optional() }).optional())
      .mutation(({ ctx, input }) => passkeys.registrationOptions(ctx.viewer, input ?? {})),
    register: browserProcedure
      .input(z.object({ name: passkeyName, response: registrationResponse, recoveryCode: recoveryCode.optional() }))
      .mutation(({ ctx, input }) => passkeys.register(ctx.viewer, input)),
    rename: browserProcedure
      .input(z.object({ credentialId, name: passkeyName }))
      .mutation(({ ctx, input }) => passkeys.rename(ctx.viewer, input)),
    removalOptions: browserProcedure
      .input(z.object({ credentialId }))
      .mutation(({ ctx, input }) => passkeys.removalOptions(ctx.viewer, input)),
    remove: browserProcedure
      .input(z.object({ credentialId, assertion: assertionResponse }))
      .mutation(({ ctx, input }) => passkeys.remove(ctx.viewer, input)),
  });
}
