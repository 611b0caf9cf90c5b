import { z } from 'zod';
import { base64url } from '#shared/names.ts';

/** `AuthenticationResponseJSON` of WebAuthn Level 3 as browsers give it; what is not needed is dropped. */
export const assertionResponse = z.object({
  id: base64url.min(1).max(1400),
  rawId: base64url.min(1).max(1400),
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: base64url.max(4096),
    authenticatorData: base64url.max(2048),
    signature: base64url.max(2048),
    userHandle: base64url.max(100).nullish(),
  }),
});
export type AssertionResponse = z.infer<typeof assertionResponse>;
