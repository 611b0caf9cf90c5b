import assert from 'node:assert/strict';
import { type Owner, ownerKey } from '../numbers/ids.ts';
import { mapGroupName, mapUserName } from '../numbers/names.ts';
import { DEFAULT_SETTINGS, type DirectorySettings } from '../settings.ts';
import { type DirectorySnapshot, sourceGroup, sourceUser, toSnapshot } from '../source/model.ts';
import type { BareEntry, Tree, TreeInput } from './model.ts';
import { buildTree } from './tree.ts';

export const ISSUER = 'https://id.example';
export const BASE = 'dc=example,dc=com';

export type Claims = Record<string, string>;
const claimList = (claims: Claims = {}) => Object.entries(claims).map(([key, value]) => ({ key, value }));

export interface TestUser {
  id?: string;
  username: string;
  claims?: Claims;
  disabled?: boolean;
  firstName?: string;
  lastName?: string;
  displayName?: string;
  email?: string;
}
export interface TestGroup {
  id?: string;
  name: string;
  friendlyName?: string;
  claims?: Claims;
  /** User names. */
  members?: string[];
}

/** A canonical snapshot; ids default to `id-<name>`. */
export function testSnapshot(users: TestUser[], groups: TestGroup[] = []): DirectorySnapshot {
  const idOf = (username: string) => users.find((user) => user.username === username)?.id ?? `id-${username}`;
  const result = toSnapshot(
    {
      users: users.map(({ id, claims, ...user }) =>
        sourceUser.parse({ ...user, id: id ?? `id-${user.username}`, customClaims: claimList(claims) }),
      ),
      groups: groups.map(({ id, claims, members, ...group }) =>
        sourceGroup.parse({
          ...group,
          id: id ?? `id-${group.name}`,
          customClaims: claimList(claims),
          userIds: (members ?? []).map(idOf),
        }),
      ),
    },
    ISSUER,
  );
  assert.ok(result.ok, JSON.stringify(result));
  return result.snapshot;
}

export type SettingsOver = {
  [K in keyof DirectorySettings]?: DirectorySettings[K] extends object
    ? Partial<DirectorySettings[K]>
    : DirectorySettings[K];
};

export function testSettings(over: SettingsOver = {}): DirectorySettings {
  const settings = { ...DEFAULT_SETTINGS, baseDn: BASE, issuer: ISSUER } as Record<string, unknown>;
  for (const [key, value] of Object.entries(over)) {
    const old = settings[key];
    settings[key] =
      typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...(old as object), ...value } : value;
  }
  return settings as unknown as DirectorySettings;
}

/** A tree in which each owner has a number by position and the name that the rules give. */
export async function testTree(
  users: TestUser[],
  groups: TestGroup[] = [],
  over: SettingsOver = {},
  more: Partial<Pick<TreeInput, 'storedRules' | 'hosts' | 'now'>> = {},
): Promise<
  Tree & {
    at: (dn: string) => BareEntry | undefined;
    values: (dn: string, attribute: string) => readonly string[] | undefined;
  }
> {
  const snapshot = testSnapshot(users, groups);
  const settings = testSettings(over);
  const names = new Map<string, string>();
  const numbers = new Map<string, number>();
  const give = (owner: Owner, mapped: ReturnType<typeof mapUserName>) => {
    if (mapped.ok) names.set(ownerKey(owner), mapped.name);
    numbers.set(ownerKey(owner), 200_000 + numbers.size);
  };
  for (const { issuer, id, username } of snapshot.users) {
    give({ owner: 'user', issuer, subject: id }, mapUserName(username, settings.names));
  }
  for (const { issuer, id, name } of snapshot.groups) {
    give({ owner: 'group', issuer, subject: id }, mapGroupName(name, settings.names));
  }
  const tree = await buildTree({
    snapshot,
    assigned: {
      uidOf: (owner) => numbers.get(ownerKey(owner)),
      gidOf: (owner) => numbers.get(ownerKey(owner)),
      nameOf: (owner) => names.get(ownerKey(owner)),
    },
    storedRules: [],
    hosts: [],
    settings,
    now: 1_800_000_000_000,
    ...more,
  });
  const at = (dn: string) => tree.entries.find((entry) => entry.dn === (dn === '' ? BASE : `${dn},${BASE}`));
  const values = (dn: string, attribute: string) => at(dn)?.attributes.find(([name]) => name === attribute)?.[1];
  return { ...tree, at, values };
}
