import { type SourceGroup, toSnapshot } from '../source/model.ts';
import type { DirectorySource, FetchResult } from '../source/source.ts';
import type { PocketIdClient } from './client.ts';

/** The pseudo user that PocketID makes for its static API key. It lists and pushes it like a person. */
export const STATIC_KEY_USER = '00000000-0000-0000-0000-000000000000';
const ATTEMPTS = 3;
const PAUSE_MS = 500;

/**
 * PocketID as a directory source: two lists, checked against each other. An edit meanwhile makes it start
 * again; what does not fit together after that is a problem, never a smaller snapshot.
 */
export function createPocketIdSource(deps: {
  client: Pick<PocketIdClient, 'users' | 'groups' | 'groupDetails'>;
  issuer: string;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}): DirectorySource {
  const { client } = deps;
  const inconsistent = (message: string): FetchResult => ({
    ok: false,
    problem: { code: 'inconsistent', message: `PocketID: ${message}` },
  });

  async function once(signal: AbortSignal): Promise<FetchResult> {
    const listed = await client.groups(signal);
    if (!listed.ok) return listed;
    const users = await client.users(signal);
    if (!users.ok) return users;
    let groups: SourceGroup[] = listed.value;
    const namesGroups = users.value.some(({ userGroups }) => (userGroups ?? []).length > 0);
    if (!namesGroups && groups.some(({ userCount, users: members }) => members == null && (userCount ?? 1) > 0)) {
      const detailed = await client.groupDetails(
        groups.map(({ id }) => id),
        signal,
      );
      if (!detailed.ok) return detailed;
      // The list counts, the detail names: both must say the same.
      groups = detailed.value.map((group, n) => ({
        ...group,
        users: group.users ?? [],
        userCount: listed.value[n]?.userCount ?? null,
      }));
      if (groups.some(({ id }, n) => id !== listed.value[n]?.id)) return inconsistent('changed while it was read');
    }
    const members = new Map<string, number>();
    for (const { userGroups } of users.value) {
      for (const { id } of userGroups ?? []) members.set(id, (members.get(id) ?? 0) + 1);
    }
    for (const group of groups) {
      const found = group.users?.length ?? members.get(group.id) ?? 0;
      if (group.userCount != null && group.userCount !== found)
        return inconsistent('the members of a group do not add up');
    }
    const known = new Set(groups.map(({ id }) => id));
    if ([...members.keys()].some((id) => !known.has(id)))
      return inconsistent('a user is in a group that is not listed');
    const people = users.value.filter(({ id }) => id !== STATIC_KEY_USER);
    const result = toSnapshot({ users: people, groups }, deps.issuer);
    return result.ok ? result : inconsistent(result.problem);
  }

  return {
    name: 'pocketid',
    async fetch(signal) {
      signal.throwIfAborted();
      for (let attempt = 1; ; attempt += 1) {
        const result = await once(signal);
        if (result.ok || result.problem.code !== 'inconsistent' || attempt === ATTEMPTS) return result;
        await deps.sleep(PAUSE_MS, signal);
      }
    },
  };
}
