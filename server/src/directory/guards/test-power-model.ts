import type { BareEntry, EnrolledHost } from '../tree/model.ts';
import type { LocalPower } from './power.ts';

/**
 * Who may do what where, read off the entries that hosts get, one question at a time: slow, and written without the guard
 * in mind. A person is the `entryUUID` of their account.
 */
export function powersIn(
  entries: readonly BareEntry[],
  hosts: readonly EnrolledHost[],
  locals: readonly LocalPower[],
): Set<string> {
  const valuesOf = (entry: BareEntry, name: string): readonly string[] =>
    entry.attributes.find(([attribute]) => attribute === name)?.[1] ?? [];
  const ofClass = (name: string) => entries.filter(({ objectClass }) => objectClass.includes(name));
  const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();
  const groups = ofClass('posixGroup');
  const netgroups = ofClass('nisNetgroup');
  const triples = (name: string) =>
    netgroups
      .filter((entry) => valuesOf(entry, 'cn').includes(name))
      .flatMap((entry) => valuesOf(entry, 'nisNetgroupTriple'));

  const people = ofClass('posixAccount').filter((person) => valuesOf(person, 'accountStatus').includes('active'));
  /** A group to run as is that group, whoever is in it on a host, and its members here. */
  const membersOf = (target: string): string[] => {
    if (!target.startsWith('%')) return [target];
    const named = groups.filter((group) => valuesOf(group, 'cn').some((cn) => same(cn, target.slice(1))));
    const members = named.flatMap((group) => valuesOf(group, 'memberUid'));
    const those = people
      .filter((person) => valuesOf(person, 'uid').some((uid) => members.includes(uid)))
      .map((person) => String(person.entryUUID));
    return [target, ...those];
  };

  const found = new Set<string>();
  for (const person of people) {
    const name = valuesOf(person, 'uid')[0]!;
    const isIn = groups.filter((group) => valuesOf(group, 'memberUid').includes(name));
    for (const host of hosts) {
      const at = (what: string) => void found.add(`${person.entryUUID} at ${host.hostname}: ${what}`);
      for (const rule of ofClass('sudoRole')) {
        const reached = valuesOf(rule, 'sudoHost').some(
          (value) =>
            value === 'ALL' ||
            same(value, host.hostname) ||
            (value.startsWith('+') && triples(value.slice(1)).includes(`(${host.hostname},,)`)),
        );
        const meant = valuesOf(rule, 'sudoUser').some((value) => {
          if (value.startsWith('%'))
            return isIn.some((group) => valuesOf(group, 'cn').some((cn) => same(cn, value.slice(1))));
          // No user in a triple is every user.
          if (value.startsWith('+')) return triples(value.slice(1)).some((triple) => triple.endsWith(',,)'));
          return same(value, name);
        });
        if (!reached || !meant) continue;
        for (const target of valuesOf(rule, 'sudoRunAsUser').flatMap(membersOf))
          for (const command of valuesOf(rule, 'sudoCommand')) at(`${command} as ${target}`);
      }
      for (const local of locals) {
        if (local.host !== host.hostname) continue;
        const gives =
          (local.type === 'user' && same(local.name, name)) ||
          (local.type === 'group' && isIn.some((group) => valuesOf(group, 'cn').some((cn) => same(cn, local.name)))) ||
          (local.type === 'uid' && valuesOf(person, 'uidNumber').includes(local.name)) ||
          (local.type === 'gid' && isIn.some((group) => valuesOf(group, 'gidNumber').includes(local.name)));
        if (gives) at(`what ${local.file} gives to ${local.type} ${local.name}`);
      }
    }
  }
  return found;
}
