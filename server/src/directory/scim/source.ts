import { z } from 'zod';
import type { Database } from '../../db/database.ts';
import { STATIC_KEY_USER } from '../pocketid/source.ts';
import { toSnapshot } from '../source/model.ts';
import type { DirectorySource } from '../source/source.ts';
import { scimGroup, scimUser, toSourceGroup, toSourceUser } from './resource.ts';
import { allResources } from './scim-store.ts';

const storedUser = z.object({ document: scimUser });
const storedGroup = z.object({ document: scimGroup, posixName: z.string() });

/** What SCIM clients pushed, as a directory source. Identity is (issuer of the client, externalId). */
export function createScimSource(deps: { db: Database }): DirectorySource {
  return {
    name: 'scim',
    async fetch(signal) {
      signal.throwIfAborted();
      const invalid = (what: string) =>
        ({ ok: false, problem: { code: 'invalid', message: `SCIM: ${what} in the database cannot be read` } }) as const;
      const { users, groups } = await deps.db.snapshot(async (query) => ({
        users: await allResources(query, 'User'),
        groups: await allResources(query, 'Group'),
      }));
      const subjects = new Map<string, { issuer: string; subject: string }>();
      const sourceUsers = [];
      for (const row of users) {
        const parsed = storedUser.safeParse(JSON.parse(row.resource));
        const subject = row.external_id ?? row.id;
        if (subject === STATIC_KEY_USER) continue;
        const user = parsed.success ? toSourceUser(parsed.data.document, row.issuer, subject) : null;
        if (!user) return invalid(`user ${row.id}`);
        subjects.set(row.id, { issuer: row.issuer, subject });
        sourceUsers.push(user);
      }
      const sourceGroups = [];
      for (const row of groups) {
        const parsed = storedGroup.safeParse(JSON.parse(row.resource));
        if (!parsed.success) return invalid(`group ${row.id}`);
        const { document, posixName } = parsed.data;
        const members = document.members
          .map(({ value }) => subjects.get(value))
          .filter((member) => member?.issuer === row.issuer)
          .map((member) => member!.subject);
        const group = toSourceGroup(document, row.issuer, row.external_id ?? row.id, posixName, members);
        if (!group) return invalid(`group ${row.id}`);
        sourceGroups.push(group);
      }
      const result = toSnapshot({ users: sourceUsers, groups: sourceGroups }, '');
      return result.ok ? result : { ok: false, problem: { code: 'inconsistent', message: `SCIM: ${result.problem}` } };
    },
  };
}
