import { type DirectorySnapshot, identityKey, withMembers } from '../source/model.ts';

/** Members that are not published are left out of their groups. */
export function withoutStrangers(snapshot: DirectorySnapshot): DirectorySnapshot {
  const known = new Set(snapshot.users.map(identityKey));
  return {
    users: snapshot.users,
    groups: snapshot.groups.map((group) =>
      group.userIds.every((id) => known.has(identityKey({ issuer: group.issuer, id })))
        ? group
        : withMembers(
            group,
            group.userIds.filter((id) => known.has(identityKey({ issuer: group.issuer, id }))),
          ),
    ),
  };
}
