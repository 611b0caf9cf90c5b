import { SCHEMA, type ScimMember } from './resource.ts';
import type { ResourceRow } from './scim-store.ts';
import { etagOf, readStored } from './stored.ts';

/** A member with what it is and where (RFC 7643 4.2). */
const shownMember =
  (location: string) =>
  ({ value, type }: ScimMember) => ({
    value,
    type: type ?? 'User',
    $ref: `${location}/${type ?? 'User'}s/${value}`,
  });

/** PocketID knows its own changes to the second, and leaves out those from before `lastModified`. */
const wholeSeconds = (at: number): string => new Date(Math.floor(at / 1000) * 1000).toISOString();

/** A resource as clients see it (RFC 7643 3.1). @param location address of the SCIM server */
export function showResource(row: ResourceRow, location: string) {
  const { document } = readStored(row);
  const schemas: string[] = [row.kind === 'User' ? SCHEMA.user : SCHEMA.group];
  for (const extension of [SCHEMA.posixUser, SCHEMA.posixGroup]) if (document[extension]) schemas.push(extension);
  return {
    schemas,
    id: row.id,
    ...document,
    ...(Array.isArray(document.members) ? { members: document.members.map(shownMember(location)) } : {}),
    meta: {
      resourceType: row.kind,
      // As exact as the other: nothing is changed before it is made.
      created: wholeSeconds(row.created_at),
      lastModified: wholeSeconds(row.modified_at),
      location: `${location}/${row.kind}s/${row.id}`,
      version: etagOf(row),
    },
  };
}
