import type { Identity } from './identity-provider.ts';

/** What there is to say about the groups of a person who signed in and is no administrator. */
export interface GroupReport {
  level: 'info' | 'warn';
  message: string;
}

/** A log line holds so many groups; a token may have thousands. */
export const MOST_GROUPS_TOLD = 50;

const WHY = {
  overage: 'they are too many for a token, and the provider keeps them elsewhere',
  userinfo_failed: 'they are not in the ID token, and the userinfo endpoint failed',
  scope_missing: 'the provider has no scope for them or did not grant it, and sent none without being asked',
  not_sent: 'there is no such claim in the ID token nor at the userinfo endpoint',
  unreadable: 'the claim is neither a list nor a text',
};

/** `/Team/Admins` and `admins` are meant alike, and are not taken as alike: a person who may name groups would choose. */
const alike = (group: string): string => (group.split('/').at(-1) ?? '').trim().toLowerCase();

/**
 * What the log says about a person's groups; null for an administrator. Pure.
 *
 * @param lostRole true: was an administrator until this sign-in
 */
export function reportGroups(
  identity: Pick<Identity, 'groups' | 'groupsUnknown'>,
  adminGroups: readonly string[],
  lostRole: boolean,
): GroupReport | null {
  if (identity.groups.some((group) => adminGroups.includes(group))) return null;
  if (identity.groupsUnknown !== null) {
    // Who is in no group has no such claim at some providers: not worth a warning for everybody, every day.
    const level = lostRole || identity.groupsUnknown !== 'not_sent' ? 'warn' : 'info';
    return { level, message: `signed in without groups: ${WHY[identity.groupsUnknown]}` };
  }
  const wanted = new Set(adminGroups.map(alike));
  return identity.groups.some((group) => wanted.has(alike(group)))
    ? {
        level: 'warn',
        message: 'signed in as no administrator: a group is written otherwise than in IDENTREE_ADMIN_GROUPS',
      }
    : { level: 'info', message: 'signed in as no administrator: no group that came is one of IDENTREE_ADMIN_GROUPS' };
}
