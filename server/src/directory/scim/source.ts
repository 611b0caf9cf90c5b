import { z } from 'zod';
import type { Database } from '../../db/database.ts';
import { STATIC_KEY_USER } from '../pocketid/source.ts';
import type { Lint } from '../source/lint.ts';
import { toSnapshot } from '../source/model.ts';
import type { DirectorySource } from '../source/source.ts';
import { scimGroup, scimUser, toSourceGroup, toSourceUser } from './resource.ts';
import { allResources } from './scim-store.ts';

const storedUser = z.object({ document: scimUser });
const storedName = z.object({ document: z.object({ displayName: z.string() }) });
const storedGroup = z.object({ document: scimGroup, posixName: z.string() });

const nameOf = (resource: string): string =>
  storedName.safeParse(JSON.parse(resource)).data?.document.displayName ?? '';

/** Groups in a group that are named; the others are counted. */
const MAX_NAMED = 5;

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
        if (!user) return invalid(`user “${row.unique_name}”`);
        subjects.set(row.id, { issuer: row.issuer, subject });
        sourceUsers.push(user);
      }
      const sourceGroups = [];
      const names = new Map(groups.map((row) => [row.id, nameOf(row.resource)]));
      const lints: Lint[] = [];
      for (const row of groups) {
        const parsed = storedGroup.safeParse(JSON.parse(row.resource));
        if (!parsed.success) return invalid(`group “${row.unique_name}”`);
        const { document, posixName } = parsed.data;
        const nested = document.members.filter(({ type }) => type === 'Group');
        if (nested.length > 0) {
          const which = nested.map(({ value }) => `“${names.get(value) ?? value}”`);
          const more = which.length > MAX_NAMED ? ` and ${which.length - MAX_NAMED} more` : '';
          const detail = `holds the groups ${which.slice(0, MAX_NAMED).join(', ')}${more}`;
          lints.push({ code: 'group_nested', subject: `group ${document.displayName}`, detail });
        }
        const members = document.members
          .map(({ value }) => subjects.get(value))
          .filter((member) => member?.issuer === row.issuer)
          .map((member) => member!.subject);
        const group = toSourceGroup(document, row.issuer, row.external_id ?? row.id, posixName, members);
        if (!group) return invalid(`group “${row.unique_name}”`);
        sourceGroups.push(group);
      }
      const result = toSnapshot({ users: sourceUsers, groups: sourceGroups }, '');
      return result.ok
        ? { ...result, lints }
        : { ok: false, problem: { code: 'inconsistent', message: `SCIM: ${result.problem}` } };
    },
  };
}
