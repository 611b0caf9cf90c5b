import type { DirectorySettings } from '../settings.ts';
import { type DirectorySnapshot, identityKey } from '../source/model.ts';
import { mapGroupName, type NameRecord } from './names.ts';

/**
 * Names of the groups that a Linux account is served in, its private group first.
 *
 * @param names by folded name, as the UID map has them.
 * @returns empty for an account that is not served or is disabled.
 */
export function groupsOf(
  account: string,
  snapshot: DirectorySnapshot,
  names: ReadonlyMap<string, NameRecord>,
  settings: DirectorySettings['names'],
): string[] {
  const ownerIs = (name: string, owner: NameRecord['owner'], key?: string) => {
    const record = names.get(name.toLowerCase());
    if (record?.owner !== owner || record.leftAt !== null) return null;
    const found = identityKey({ issuer: record.issuer, id: record.subject });
    return key === undefined || key === found ? found : null;
  };
  const key = ownerIs(account, 'user');
  const user = key === null ? undefined : snapshot.users.find((one) => identityKey(one) === key);
  if (!user || user.disabled) return [];
  const groups = snapshot.groups
    .filter(({ issuer, userIds }) => issuer === user.issuer && userIds.includes(user.id))
    .flatMap((group) => {
      const mapped = mapGroupName(group.name, settings);
      return mapped.ok && ownerIs(mapped.name, 'group', identityKey(group)) !== null ? [mapped.name] : [];
    });
  return [account, ...groups.sort()];
}
