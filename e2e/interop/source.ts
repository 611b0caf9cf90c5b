import { setTimeout as sleep } from 'node:timers/promises';
import { createPocketIdClient } from '../../server/src/directory/pocketid/client.ts';
import { createPocketIdSource } from '../../server/src/directory/pocketid/source.ts';
import { createHttpGet, type HttpGet } from '../../server/src/directory/pocketid/transport.ts';
import type { Upstream } from '../../server/src/directory/source/test-source-contract.ts';
import type { PocketId } from '../harness/pocketid.ts';

/** Our client and source against a PocketID, with real time and real HTTP. */
export function connect(pocketId: Pick<PocketId, 'url' | 'apiKey'>, over: { apiKey?: string; get?: HttpGet } = {}) {
  const slept: number[] = [];
  const wait = async (ms: number, signal: AbortSignal): Promise<void> => {
    slept.push(ms);
    await sleep(ms, undefined, { signal });
  };
  const client = createPocketIdClient({
    baseUrl: pocketId.url,
    apiKey: pocketId.apiKey,
    get: createHttpGet({ userAgent: 'identree/interop' }),
    now: Date.now,
    sleep: wait,
    ...over,
  });
  return { client, slept, source: createPocketIdSource({ client, issuer: pocketId.url, sleep: wait }) };
}

/** Makes a PocketID hold this content and nothing else, by its API. What keeps its name is edited, not made anew. */
export function createFiller(pocketId: PocketId) {
  const users = new Map<string, { id: string; username: string }>();
  const groups = new Map<string, { id: string; name: string }>();

  async function put(content: Upstream): Promise<void> {
    for (const [key, { id, username }] of users) {
      if (content.users.some((user) => user.id === key && user.username === username)) continue;
      await pocketId.deleteUser(id);
      users.delete(key);
    }
    for (const [key, { id, name }] of groups) {
      if (content.groups.some((group) => group.id === key && group.name === name)) continue;
      await pocketId.deleteGroup(id);
      groups.delete(key);
    }
    for (const { id: key, customClaims, ...user } of content.users) {
      const known = users.get(key);
      if (known) await pocketId.updateUser(known.id, user);
      const id = known?.id ?? (await pocketId.createUser(user));
      users.set(key, { id, username: user.username });
      await pocketId.setClaims('user', id, customClaims ?? []);
    }
    for (const { id: key, name, userIds, customClaims } of content.groups) {
      const id = groups.get(key)?.id ?? (await pocketId.createGroup(name));
      groups.set(key, { id, name });
      await pocketId.setMembers(
        id,
        userIds.map((member) => idOf(member)),
      );
      await pocketId.setClaims('user-group', id, customClaims ?? []);
    }
  }

  function idOf(key: string): string {
    const known = users.get(key);
    if (!known) throw new Error(`nobody was put under ${key}`);
    return known.id;
  }

  return { put, idOf };
}

/** Runs over items, four at once: what a patient administrator's script would do. */
export async function inParallel<I, T>(items: readonly I[], run: (item: I, index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = new Array(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await run(items[index] as I, index);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return results;
}
