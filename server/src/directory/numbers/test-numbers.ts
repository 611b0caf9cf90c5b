import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Database } from '../../db/database.ts';
import { createEventLog } from '../../events/log.ts';
import { manualClock } from '../../platform/clock.ts';
import { DEFAULT_SETTINGS } from '../settings.ts';
import { type DirectorySnapshot, sourceGroup, sourceUser, toSnapshot } from '../source/model.ts';
import { groupOwner, userOwner } from './ids.ts';
import { createNumbers } from './numbers.ts';
import { createUidMapTools } from './uidmap.ts';

const issuer = 'https://id.example';
export const DAY = 86_400_000;
type Names = Record<string, string>;

/** What a source says. Users and groups: id → name; claims: id → `key=value`. */
export function snapshot(users: Names, groups: Names = {}, claims: Record<string, string> = {}): DirectorySnapshot {
  const withClaims = (id: string) => ({
    customClaims: claims[id] === undefined ? [] : [{ key: claims[id].split('=')[0], value: claims[id].split('=')[1] }],
  });
  const result = toSnapshot(
    {
      users: Object.entries(users).map(([id, username]) => sourceUser.parse({ id, username, ...withClaims(id) })),
      groups: Object.entries(groups).map(([id, name]) => sourceGroup.parse({ id, name, ...withClaims(id) })),
    },
    issuer,
  );
  assert.ok(result.ok);
  return result.snapshot;
}

export const user = (id: string) => userOwner({ issuer, id });
export const group = (id: string) => groupOwner({ issuer, id });

/** A UID map with its copy in a folder of its own, and the tools for it. */
export async function setUp(
  t: Pick<TestContext, 'after'>,
  db: Database,
  over: Partial<typeof DEFAULT_SETTINGS.ids> = {},
) {
  const folder = await mkdtemp(join(tmpdir(), 'identree-uidmap-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const mapFile = join(folder, 'uidmap.json');
  const clock = manualClock();
  const events = await createEventLog({ db, clock, onError: () => {} });
  t.after(() => events.close());
  const settings = { issuer, ids: { ...DEFAULT_SETTINGS.ids, ...over }, names: DEFAULT_SETTINGS.names };
  const make = (acceptLoss = false) => createNumbers({ db, events, clock, settings, mapFile, acceptLoss });
  const tools = createUidMapTools({ db, events, clock, settings, mapFile, actor: 'root' });
  const file = async () => JSON.parse(await readFile(mapFile, 'utf8'));
  return { folder, mapFile, clock, make, file, tools, numbers: make() };
}
