import type { Leaver } from '../../auth/standing.ts';
import { userOwner } from '../numbers/ids.ts';
import type { ServedAs } from '../numbers/numbers.ts';
import { type DirectorySnapshot, type DirectoryUser, identityKey } from '../source/model.ts';

const leaver = (reason: Leaver['reason'], user: DirectoryUser, account: string | null): Leaver => ({
  issuer: user.issuer,
  subject: user.id,
  account,
  reason,
});

/** People whom the source has disabled, with the accounts that they are served under. */
export function disabledLeavers(users: readonly DirectoryUser[], assigned: Pick<ServedAs, 'nameOf'>): Leaver[] {
  return users.map((user) => leaver('disabled', user, assigned.nameOf(userOwner(user)) ?? null));
}

/**
 * People who are served under another name than until now, or under none. What waits under the old one was asked for by
 * them, and whoever has it next would decide it.
 *
 * @param accountOf the Linux account that a user's name led to
 */
export function renamedLeavers(
  published: DirectorySnapshot,
  was: Pick<ServedAs, 'nameOf'>,
  now: Pick<ServedAs, 'nameOf'>,
  accountOf: (user: DirectoryUser) => string | null,
): Leaver[] {
  return published.users.flatMap((user) => {
    const before = was.nameOf(userOwner(user));
    if (before === undefined || now.nameOf(userOwner(user))?.toLowerCase() === before.toLowerCase()) return [];
    const account = accountOf(user);
    // Names are kept in small letters, and accounts may have others.
    return [leaver('renamed', user, account?.toLowerCase() === before.toLowerCase() ? account : before)];
  });
}

/**
 * People whom hosts still see and the source no longer knows.
 *
 * @param accountOf the Linux account that a user's name leads to
 * @param owners name → `user issuer subject` of whom it is
 */
export function removedLeavers(
  published: DirectorySnapshot,
  now: DirectorySnapshot,
  accountOf: (user: DirectoryUser) => string | null,
  owners: ReadonlyMap<string, string>,
): Leaver[] {
  const known = new Set(now.users.map(identityKey));
  const gone = published.users.filter((user) => !known.has(identityKey(user)));
  return gone.map((user) => {
    const account = accountOf(user);
    // Another person may be served under the name that this one only would have had.
    const isOwner = account !== null && owners.get(account) === `user ${identityKey(user)}`;
    return leaver('removed', user, isOwner ? account : null);
  });
}
