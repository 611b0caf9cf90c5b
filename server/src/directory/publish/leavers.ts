import type { Leaver } from '../../auth/standing.ts';
import { userOwner } from '../numbers/ids.ts';
import type { Assigned } from '../numbers/numbers.ts';
import { type DirectorySnapshot, type DirectoryUser, identityKey } from '../source/model.ts';

const leaver = (reason: Leaver['reason'], user: DirectoryUser, account: string | null): Leaver => ({
  issuer: user.issuer,
  subject: user.id,
  account,
  reason,
});

/** People whom the source has disabled, with the accounts that they are served under. */
export function disabledLeavers(users: readonly DirectoryUser[], assigned: Pick<Assigned, 'nameOf'>): Leaver[] {
  return users.map((user) => leaver('disabled', user, assigned.nameOf(userOwner(user)) ?? null));
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
