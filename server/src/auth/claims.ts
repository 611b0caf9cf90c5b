import { z } from 'zod';
import { visibleText } from '#shared/visible-text.ts';
import type { GroupsUnknown, Identity, SignInProblem } from './identity-provider.ts';

const MOST_GROUPS = 5000;
const LONGEST_GROUP = 255;

/** No database and no log keeps a NUL, or half a character, as it is. */
const isWhole = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

const line = z.string().max(1024);

/**
 * A user name, with or without a domain. Characters that cannot be seen would make it look like another one wherever people
 * read it, and a blank, a slash or a dash in front like an option or a path wherever programs do.
 */
const userName = z
  .string()
  .max(255)
  .regex(/^[^\s/-][^\s/]*$/)
  .refine((name) => name === visibleText(name));

/** An identifier as sources of people have them. */
const sourceId = z
  .union([z.string(), z.int()])
  .transform(String)
  .pipe(z.string().regex(/^[\x21-\x7e]{1,128}$/));

const claims = z.object({
  sub: z.string().min(1).max(255).refine(isWhole),
  preferred_username: z.unknown().optional(),
  name: line.optional().catch(undefined),
  email: line.refine(isWhole).optional().catch(undefined),
  // Some providers count in fractions of a second. One that says nothing readable has not said when.
  auth_time: z.number().min(0).optional().catch(undefined),
  sid: z.string().min(1).max(255).refine(isWhole).optional().catch(undefined),
});

/** How the claims of this provider are read. */
export interface ClaimRules {
  /** Name of the claim that holds the groups. */
  groupsClaim: string;
  /** Name of the claim by which the source of people knows who signs in. */
  userIdClaim: string;
  /** True: claims that are not in the ID token could not be asked for. */
  userinfoFailed: boolean;
  /** True: the scope that brings groups was not asked for, or not granted. */
  scopeMissing: boolean;
}

/**
 * Reads the claims of a verified ID token, merged with userinfo. `leftOut`: so many entries of the groups claim cannot be
 * the name of a group.
 */
export function identityOf(
  issuer: string,
  raw: Record<string, unknown>,
  now: number,
  rules: ClaimRules,
): { ok: true; identity: Identity; leftOut: number } | { ok: false; problem: SignInProblem; detail: string } {
  const parsed = claims.safeParse(raw);
  if (!parsed.success) return { ok: false, problem: 'claims_unusable', detail: z.prettifyError(parsed.error) };
  const username = userName.safeParse(parsed.data.preferred_username);
  if (!username.success) {
    return { ok: false, problem: 'username_unusable', detail: 'preferred_username is no user name' };
  }
  const { sub, name, email, auth_time: authTime, sid } = parsed.data;
  const id = rules.userIdClaim === 'sub' ? null : sourceId.safeParse(raw[rules.userIdClaim]);
  const { groups, unknown, leftOut } = groupsOf(raw, rules);
  const identity: Identity = {
    issuer,
    subject: sub,
    username: username.data,
    displayName: visibleText(name?.trim() || username.data).slice(0, 255),
    email: email?.trim() || null,
    groups,
    groupsUnknown: unknown,
    // A provider whose clock is ahead must not make a sign-in that stays fresh for longer.
    authTime: authTime === undefined ? 0 : Math.min(Math.floor(authTime * 1000), now),
    sid: sid ?? null,
    sourceId: id?.success ? { claim: rules.userIdClaim, value: id.data } : null,
    idToken: null,
  };
  return { ok: true, identity, leftOut };
}

/** Groups give power and take none away, so an entry that cannot be read is left out and the others count. */
function groupsOf(
  raw: Record<string, unknown>,
  { groupsClaim, userinfoFailed, scopeMissing }: ClaimRules,
): { groups: string[]; unknown: GroupsUnknown | null; leftOut: number } {
  const unknown = (why: GroupsUnknown) => ({ groups: [], unknown: why, leftOut: 0 });
  const value = raw[groupsClaim];
  if (value === undefined) {
    if (isElsewhere(raw._claim_names, groupsClaim)) return unknown('overage');
    if (userinfoFailed) return unknown('userinfo_failed');
    return unknown(scopeMissing ? 'scope_missing' : 'not_sent');
  }
  // One provider sends a list, another a single text, and a program in Go null for an empty list.
  const entries = value === null ? [] : typeof value === 'string' ? [value] : value;
  if (!Array.isArray(entries)) return unknown('unreadable');
  const names = entries.filter((entry) => typeof entry === 'string' && entry !== '' && entry.length <= LONGEST_GROUP);
  const groups = [...new Set<string>(names)].slice(0, MOST_GROUPS);
  return { groups, unknown: null, leftOut: entries.length - names.length + Math.max(0, names.length - MOST_GROUPS) };
}

/** Whether a claim is kept in another place (aggregated and distributed claims, OpenID Connect Core 5.6.2). */
function isElsewhere(claimNames: unknown, claim: string): boolean {
  return typeof claimNames === 'object' && claimNames !== null && Object.hasOwn(claimNames, claim);
}
