import type { UnitOfWork } from '../../db/database.ts';
import type { ScimClient } from './clients.ts';
import { type ScimGroup, type ScimMember, scimGroup } from './resource.ts';
import { ScimError } from './scim-error.ts';
import * as store from './scim-store.ts';
import { readStored, writeStored } from './stored.ts';

/**
 * The members of a group as they are kept: each once, groups marked as such, and nobody who is gone.
 *
 * @param before who was in the group
 * @param adds whether a person is to be added: who is gone cannot be, and the provider has to hear of it. A list of all
 * members may name them, because providers write such lists before they know.
 * @throws ScimError for a member that the client never had
 */
export async function settleMembers(
  work: UnitOfWork,
  client: ScimClient,
  group: ScimGroup,
  { before, adds }: { before: readonly ScimMember[]; adds: boolean },
): Promise<ScimGroup> {
  const ids = [...new Set(group.members.map(({ value }) => value))];
  const known = await store.membersOf(work.query, client.id, ids);
  const had = new Set(before.map(({ value }) => value));
  const members = ids.flatMap((value): ScimMember[] => {
    const kind = known.get(value);
    if (kind === 'User') return [{ value }];
    if (kind === 'Group') return [{ value, type: 'Group' }];
    if (had.has(value) || (kind === 'deleted' && !adds)) return [];
    throw new ScimError(400, 'a member is not known here', 'invalidValue');
  });
  return { ...group, members };
}

/** Takes a deleted person out of the groups of the client. @returns the groups that changed, as they are now */
export async function leaveGroups(work: UnitOfWork, client: ScimClient, id: string): Promise<store.ResourceRow[]> {
  const changed: store.ResourceRow[] = [];
  for (const row of await store.groupsNaming(work.query, client.id, id)) {
    const { document, posixName } = readStored(row);
    const group = scimGroup.parse(document);
    const members = group.members.filter(({ value }) => value !== id);
    if (members.length === group.members.length) continue;
    const resource = writeStored({ document: { ...group, members }, posixName });
    // `lastModified` stays: PocketID would take it for its own last push, and keep back what it changed before this.
    const set = { resource, version: row.version + 1 };
    await store.updateResource(work, row.id, set);
    changed.push({ ...row, ...set });
  }
  return changed;
}
