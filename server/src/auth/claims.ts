import { z } from 'zod';
import { accountName } from '#shared/names.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { ExchangeResult, Identity } from './identity-provider.ts';

const line = z.string().max(1024);

const claims = z.object({
  sub: z.string().min(1).max(255),
  preferred_username: z.unknown().optional(),
  name: line.optional().catch(undefined),
  email: line.optional().catch(undefined),
  // One provider sends a list, another a single text. Anything else means that nobody knows the groups.
  groups: z
    .union([
      z.array(z.string().max(255)).max(5000),
      z
        .string()
        .max(255)
        .transform((group) => [group]),
    ])
    .nullish()
    .transform((groups) => groups ?? []),
  auth_time: z.int().min(0).optional(),
});

/** Reads the claims of a verified ID token, merged with userinfo. A missing `groups` claim means no group. */
export function identityOf(issuer: string, raw: Record<string, unknown>, now: number): ExchangeResult {
  const parsed = claims.safeParse(raw);
  if (!parsed.success) return { ok: false, problem: 'claims_unusable', detail: z.prettifyError(parsed.error) };
  const username = accountName.safeParse(parsed.data.preferred_username);
  if (!username.success) {
    return { ok: false, problem: 'username_unusable', detail: 'preferred_username is no account name' };
  }
  const { sub, name, email, groups, auth_time: authTime } = parsed.data;
  const identity: Identity = {
    issuer,
    subject: sub,
    username: username.data,
    displayName: visibleText(name?.trim() || username.data).slice(0, 255),
    email: email?.trim() || null,
    groups: [...new Set(groups)],
    // A provider whose clock is ahead must not make a sign-in that stays fresh for longer.
    authTime: authTime === undefined ? 0 : Math.min(authTime * 1000, now),
  };
  return { ok: true, identity };
}
