import type { DirectoryGroup } from '../source/model.ts';
import { readable } from './account.ts';
import type { Attributes, BareEntry } from './model.ts';

/** What is said about a group besides its name; empty when that is all there is. */
export function descriptionOf(group: DirectoryGroup, name: string): string {
  const text = readable(group.friendlyName);
  return text === name ? '' : text;
}

/**
 * A group with its members (RFC 2307); with `bis` also by their DNs, as RFC 2307bis has it.
 *
 * @param personDn the DN of the person of a user name
 */
export function groupEntry(
  group: { dn: string; name: string; gid: number; members: readonly string[]; description: string },
  bis: boolean,
  personDn: (name: string) => string,
  entryUUID: string,
): BareEntry {
  const attributes: Attributes = [
    ['cn', [group.name]],
    ['gidNumber', [String(group.gid)]],
  ];
  if (group.description !== '') attributes.push(['description', [group.description]]);
  if (group.members.length > 0) {
    attributes.push(['memberUid', group.members]);
    if (bis) attributes.push(['member', group.members.map(personDn)]);
  }
  return {
    dn: group.dn,
    objectClass: bis ? ['top', 'posixGroup', 'extensibleObject'] : ['top', 'posixGroup'],
    attributes,
    entryUUID,
  };
}
