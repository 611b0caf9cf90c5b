import { parseBaseDn } from '../../platform/base-dn.ts';
import { eachInSlices } from '../../platform/slices.ts';
import { groupOwner, userOwner } from '../numbers/ids.ts';
import type { Lint } from '../source/lint.ts';
import { type DirectoryUser, identityKey, order } from '../source/model.ts';
import { ruleFromClaims } from '../sudo/from-claims.ts';
import { type CheckedRule, checkRule } from '../sudo/rule.ts';
import { accessHostsOf } from './account.ts';
import { baseEntry } from './base-entry.ts';
import { escapeRdnValue } from './dn.ts';
import { createEntryUuids } from './entry-uuid.ts';
import { descriptionOf, groupEntry } from './group-entry.ts';
import type { BareEntry, ServedRule, Tree, TreeInput } from './model.ts';
import { lintOverlaps } from './overlaps.ts';
import { personAttributes } from './person-entry.ts';
import { defaultsEntry, sudoEntry } from './sudo-entry.ts';

/**
 * Builds the tree that the LDAP engine serves (RFC 2307, RFC 2307bis, sudoers.ldap(5)). The same input gives the same
 * entries; lets others have a turn while it works.
 */
export async function buildTree(input: TreeInput, signal?: AbortSignal): Promise<Tree> {
  const { settings, assigned, now } = input;
  const base = settings.baseDn;
  const rdns = parseBaseDn(base);
  if (!rdns) throw new Error(`"${base}" is not a base DN`);
  const lints: Lint[] = [];
  const lint = (one: Lint): void => void lints.push(one);
  const uuids = createEntryUuids();
  const containers: BareEntry[] = [baseEntry(base, rdns, uuids.of('container', '', base))];
  const container = (ou: string): string => {
    const dn = `ou=${ou},${base}`;
    containers.push({
      dn,
      objectClass: ['top', 'organizationalUnit'],
      attributes: [['ou', [ou]]],
      entryUUID: uuids.of('container', '', ou),
    });
    return dn;
  };

  const people: BareEntry[] = [];
  const groups: BareEntry[] = [];
  const sudoers: BareEntry[] = [];
  const rest: BareEntry[] = [];
  const rules: ServedRule[] = [];
  let nextBoundary: number | null = null;

  const reached = input.hosts.filter(({ apart }) => apart !== true);
  const hostNames = reached.map(({ hostname }) => hostname).sort(order);
  const hostGroups = Map.groupBy(reached, ({ group }) => group ?? '');
  const hostsOf = (group: string): string[] =>
    group === '' ? [] : (hostGroups.get(group) ?? []).map(({ hostname }) => hostname).sort(order);

  // Who is served, under which name, and who counts as a member.
  const names = new Map<string, { user: DirectoryUser; name: string }>();
  if (settings.people) {
    for (const user of input.snapshot.users) {
      const name = assigned.nameOf(userOwner(user));
      if (name !== undefined) names.set(identityKey(user), { user, name });
    }
  }
  const peopleDn = settings.people ? container('people') : '';
  const groupsDn = settings.people ? container('groups') : '';
  const sudoersDn = container('sudoers');
  const personDn = (name: string) => `uid=${escapeRdnValue(name)},${peopleDn}`;
  const groupDn = (name: string) => `cn=${escapeRdnValue(name)},${groupsDn}`;

  const serve = (
    rule: CheckedRule,
    cn: string,
    sudoUsers: readonly string[],
    from: ServedRule['source'],
    fallbackOrder: number,
    description: string,
    entryUUID: string,
  ): void => {
    const { notBefore, notAfter } = rule;
    for (const edge of [notBefore, notAfter]) {
      if (edge !== null && edge > now && (nextBoundary === null || edge < nextBoundary)) nextBoundary = edge;
    }
    // `sudo -l` would list a rule outside its time, and sssd passes it on unless told otherwise.
    if ((notBefore !== null && now < notBefore) || (notAfter !== null && now >= notAfter)) return;
    const served: ServedRule = { ...rule, order: rule.order ?? fallbackOrder, cn, sudoUsers, source: from };
    rules.push(served);
    sudoers.push(sudoEntry(served, sudoersDn, description, entryUUID));
  };

  if (settings.people) {
    const memberOf = new Map<string, string[]>();
    const access = new Map<string, Set<string>>();
    await eachInSlices(
      input.snapshot.groups,
      (group) => {
        const owner = groupOwner(group);
        const name = assigned.nameOf(owner);
        const gid = assigned.gidOf(owner);
        if (name === undefined || gid === undefined) return;
        const dn = groupDn(name);
        const members: string[] = [];
        const hosts = accessHostsOf(group, settings.access, hostsOf, lint);
        for (const id of group.userIds) {
          const key = identityKey({ issuer: group.issuer, id });
          const member = names.get(key);
          if (!member) continue;
          if (hosts !== null) {
            const set = access.get(key) ?? new Set();
            for (const host of hosts) set.add(host);
            access.set(key, set);
          }
          if (member.user.disabled) continue;
          members.push(member.name);
          const of = memberOf.get(key);
          if (of) of.push(dn);
          else memberOf.set(key, [dn]);
        }
        members.sort(order);
        groups.push(
          groupEntry(
            { dn, name, gid, members, description: descriptionOf(group, name) },
            settings.rfc2307bis,
            personDn,
            uuids.of('group', group.issuer, group.id),
          ),
        );
        if (settings.sudoSource === 'store') return;
        const subject = `group ${group.name}`;
        const written = ruleFromClaims(group, subject, lint);
        if (!written || members.length === 0) return;
        const rule = checkRule(written, subject, settings.sudo, hostNames, lint);
        if (!rule) return;
        const sudoUsers = settings.sudo.userStyle === 'group' ? [`%${name}`] : members;
        const fallback = Math.max(0, 1 + gid - settings.ids.gidBase);
        serve(rule, name, sudoUsers, 'claims', fallback, '', uuids.of('sudo', group.issuer, group.id));
      },
      signal,
    );
    await eachInSlices(
      names,
      ([key, { user, name }]) => {
        const owner = userOwner(user);
        const uid = assigned.uidOf(owner);
        const gid = assigned.gidOf(owner);
        if (uid === undefined || gid === undefined) return;
        const upgDn = groupDn(name);
        const hosts = access.get(key);
        const everywhere = hosts === undefined && settings.access.byDefault === 'allow';
        people.push({
          dn: personDn(name),
          ...personAttributes({
            user,
            name,
            uid,
            gid,
            hosts: everywhere ? ['*'] : [...(hosts ?? [])].sort(order),
            memberOf: settings.rfc2307bis ? [...(memberOf.get(key) ?? []), ...(user.disabled ? [] : [upgDn])] : [],
            settings,
            lint,
          }),
          entryUUID: uuids.of('user', user.issuer, user.id),
        });
        const upg = {
          dn: upgDn,
          name,
          gid,
          members: user.disabled ? [] : [name],
          description: `User private group of ${name}`,
        };
        groups.push(groupEntry(upg, settings.rfc2307bis, personDn, uuids.of('upg', user.issuer, user.id)));
      },
      signal,
    );
  }

  if (settings.sudoSource !== 'claims' || !settings.people) {
    const taken = new Set(rules.map(({ cn }) => cn.toLowerCase()));
    for (const stored of input.storedRules) {
      const rule = checkRule(stored.written, `rule ${stored.name}`, settings.sudo, hostNames, lint);
      if (!rule) continue;
      let cn = stored.name;
      for (let n = 2; taken.has(cn.toLowerCase()) || cn.toLowerCase() === 'defaults'; n += 1)
        cn = `${stored.name}-${n}`;
      taken.add(cn.toLowerCase());
      serve(rule, cn, stored.sudoUsers, 'store', 1, stored.description, uuids.of('rule', '', stored.id));
    }
  }
  const defaults = defaultsEntry(settings, sudoersDn, uuids.of('defaults', '', ''), lint);
  if (defaults) sudoers.unshift(defaults);
  lintOverlaps(rules, lint);

  if (settings.hostIdentities) {
    const dn = container('identree-hosts');
    for (const host of input.hosts) {
      rest.push({
        dn: `uid=${escapeRdnValue(host.hostname)},${dn}`,
        objectClass: ['top', 'account'],
        attributes: [
          ['uid', [host.hostname]],
          ['host', [host.hostname]],
        ],
        entryUUID: uuids.of('host', '', host.id),
        audience: 'self',
      });
    }
  }
  if (settings.netgroups) {
    const dn = container('netgroups');
    for (const group of [...hostGroups.keys()]
      .filter((name) => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/.test(name))
      .sort(order)) {
      rest.push({
        dn: `cn=${escapeRdnValue(group)},${dn}`,
        objectClass: ['top', 'nisNetgroup'],
        attributes: [
          ['cn', [group]],
          ['nisNetgroupTriple', hostsOf(group).map((host) => `(${host},,)`)],
        ],
        entryUUID: uuids.of('netgroup', '', group),
      });
    }
  }
  return {
    entries: [...containers, ...groups, ...people, ...sudoers, ...rest],
    rules,
    lints,
    counts: { people: people.length, groups: groups.length, sudoRules: rules.length },
    nextBoundary,
  };
}
