import type { LocalPower } from '../guards/power.ts';
import { mapGroupName, mapUserName } from '../numbers/names.ts';
import type { DirectorySettings } from '../settings.ts';
import type { DirectoryGroup, DirectorySnapshot } from '../source/model.ts';
import type { StoredRule } from '../tree/model.ts';
import type { HostPower } from './round.ts';

type NameSettings = DirectorySettings['names'];

/** The Linux account that a user name leads to; null when it leads to none. */
export function accountFor({ username }: { username: string }, settings: NameSettings): string | null {
  const mapped = mapUserName(username, settings);
  return mapped.ok ? mapped.name : null;
}

/** What hosts give to names that the directory has, or is asked to have; and to numbers, which it may come to. */
export function localPowerIn(
  snapshots: readonly DirectorySnapshot[],
  reports: readonly HostPower[],
  settings: NameSettings,
): LocalPower[] {
  if (reports.length === 0) return [];
  const names = new Set<string>();
  for (const { users, groups } of snapshots) {
    for (const user of users) names.add(accountFor(user, settings)?.toLowerCase() ?? '');
    for (const group of groups) {
      const mapped = mapGroupName(group.name, settings);
      if (mapped.ok) names.add(mapped.name.toLowerCase());
    }
  }
  return reports.flatMap(({ hostname, power }) =>
    power
      .filter(({ type, name }) => type === 'uid' || type === 'gid' || names.has(name.toLowerCase()))
      .map((one) => ({ ...one, host: hostname })),
  );
}

/** Finds the rules of the database that name a group as `%group`, without regard to case: it gives power by them. */
export function rulesForGroups(
  stored: readonly StoredRule[],
  settings: NameSettings,
): (group: Pick<DirectoryGroup, 'name'>) => readonly string[] {
  const named = new Map<string, string[]>();
  for (const { name, sudoUsers } of stored) {
    for (const user of sudoUsers) {
      if (!user.startsWith('%')) continue;
      const group = user.slice(1).toLowerCase();
      named.set(group, [...(named.get(group) ?? []), name]);
    }
  }
  return (group) => {
    const mapped = mapGroupName(group.name, settings);
    return (mapped.ok && named.get(mapped.name.toLowerCase())) || [];
  };
}
