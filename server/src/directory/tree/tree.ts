import type { Entry } from '../../ldap/entry.ts';
import { parseBaseDn } from '../../platform/base-dn.ts';
import { eachInSlices } from '../../platform/slices.ts';
import { groupOwner, userOwner } from '../numbers/ids.ts';
import type { Assigned } from '../numbers/numbers.ts';
import type { DirectorySettings } from '../settings.ts';
import type { Lint } from '../source/lint.ts';
import {
  type DirectoryGroup,
  type DirectorySnapshot,
  type DirectoryUser,
  identityKey,
  order,
} from '../source/model.ts';
import { ruleFromClaims } from '../sudo/from-claims.ts';
import { checkOption } from '../sudo/options.ts';
import { type CheckedRule, checkRule, generalizedTime, type WrittenRule } from '../sudo/rule.ts';
import { accessHostsOf, commonName, gecosOf, homeOf, readable, shellOf, sshKeysOf } from './account.ts';
import { escapeRdnValue } from './dn.ts';
import { createEntryUuids } from './entry-uuid.ts';

/** An entry before it has its update number and times. */
export interface BareEntry extends Omit<Entry, 'operational'> {
  readonly entryUUID: string;
}

/** A rule of the database as the tree needs it. */
export interface StoredRule {
  readonly id: string;
  readonly name: string;
  /** Values of `sudoUser`: `%group`, `user`, `+netgroup`. Checked when the rule was written. */
  readonly sudoUsers: readonly string[];
  readonly written: WrittenRule;
  readonly description: string;
}

/** A rule that is served, for lints, the simulator and the console. */
export interface ServedRule extends CheckedRule {
  readonly cn: string;
  readonly sudoUsers: readonly string[];
  readonly source: 'claims' | 'store';
}

export interface EnrolledHost {
  readonly id: string;
  readonly hostname: string;
  readonly group: string | null;
  /** Neither patterns nor netgroups mean it yet. */
  readonly apart?: boolean;
}

export interface TreeInput {
  readonly snapshot: DirectorySnapshot;
  readonly assigned: Pick<Assigned, 'uidOf' | 'gidOf' | 'nameOf'>;
  readonly storedRules: readonly StoredRule[];
  readonly hosts: readonly EnrolledHost[];
  readonly settings: DirectorySettings;
  readonly now: number;
}

export interface Tree {
  /** Parents before children: containers, groups, people, sudo rules. */
  readonly entries: readonly BareEntry[];
  readonly rules: readonly ServedRule[];
  readonly lints: readonly Lint[];
  readonly counts: { readonly people: number; readonly groups: number; readonly sudoRules: number };
  /** When a sudo rule begins or ends next; null when none does. */
  readonly nextBoundary: number | null;
}

type Attributes = [name: string, values: readonly string[]][];

const PERSON = [
  'top',
  'person',
  'organizationalPerson',
  'inetOrgPerson',
  'posixAccount',
  'shadowAccount',
  'identreeAccount',
];

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

function baseEntry(dn: string, rdns: readonly { type: string; value: string }[], entryUUID: string): BareEntry {
  const [first] = rdns as [{ type: string; value: string }];
  switch (first.type) {
    case 'dc':
      return {
        dn,
        objectClass: ['top', 'organization', 'dcObject'],
        attributes: [
          ['o', [first.value]],
          ['dc', [first.value]],
        ],
        entryUUID,
      };
    case 'o':
      return { dn, objectClass: ['top', 'organization'], attributes: [['o', [first.value]]], entryUUID };
    case 'c':
      return { dn, objectClass: ['top', 'country'], attributes: [['c', [first.value]]], entryUUID };
    default:
      return { dn, objectClass: ['top', 'organizationalUnit'], attributes: [['ou', [first.value]]], entryUUID };
  }
}

function descriptionOf(group: DirectoryGroup, name: string): string {
  const text = readable(group.friendlyName);
  return text === name ? '' : text;
}

function groupEntry(
  group: { dn: string; name: string; gid: number; members: readonly string[]; description: string },
  bis: boolean,
  personDn: (name: string) => string,
  entryUUID: string,
): BareEntry {
  const attributes: Attributes = [
    ['cn', [group.name]],
    ['gidNumber', [String(group.gid)]],
  ];
  if (group.description !== '') attributes.push(['description', [group.description]]);
  if (group.members.length > 0) {
    attributes.push(['memberUid', group.members]);
    if (bis) attributes.push(['member', group.members.map(personDn)]);
  }
  return {
    dn: group.dn,
    objectClass: bis ? ['top', 'posixGroup', 'extensibleObject'] : ['top', 'posixGroup'],
    attributes,
    entryUUID,
  };
}

function personAttributes(person: {
  user: DirectoryUser;
  name: string;
  uid: number;
  gid: number;
  hosts: readonly string[];
  memberOf: readonly string[];
  settings: DirectorySettings;
  lint: (lint: Lint) => void;
}): Pick<BareEntry, 'objectClass' | 'attributes'> {
  const { user, name, settings, lint } = person;
  const cn = commonName(user, name);
  const objectClass = [...PERSON];
  const attributes: Attributes = [
    ['uid', [name]],
    ['cn', [cn]],
    ['sn', [readable(user.lastName) || name]],
    ['uidNumber', [String(person.uid)]],
    ['gidNumber', [String(person.gid)]],
    ['gecos', [gecosOf(cn, name)]],
    ['homeDirectory', [homeOf(user, name, settings.accounts, lint)]],
    ['loginShell', [shellOf(user, settings.accounts, lint)]],
    ['shadowLastChange', ['1']],
    ['shadowMin', ['0']],
    ['shadowMax', ['99999']],
    ['shadowWarning', ['7']],
    ['accountStatus', [user.disabled ? 'inactive' : 'active']],
  ];
  const firstName = readable(user.firstName);
  if (firstName !== '') attributes.push(['givenName', [firstName]]);
  const displayName = readable(user.displayName);
  if (displayName !== '') attributes.push(['displayName', [displayName]]);
  // The attribute is IA5; an address in other letters has no spelling in it.
  if (/^[\x21-\x7e]+$/.test(user.email)) attributes.push(['mail', [user.email]]);
  if (user.disabled) attributes.push(['shadowExpire', ['1']], ['nsAccountLock', ['TRUE']]);
  else {
    const keys = sshKeysOf(user, lint);
    if (keys.length > 0) {
      objectClass.push('ldapPublicKey');
      attributes.push(['sshPublicKey', keys]);
    }
  }
  if (person.hosts.length > 0) {
    objectClass.push('hostObject');
    attributes.push(['host', person.hosts]);
  }
  if (person.memberOf.length > 0) attributes.push(['memberOf', person.memberOf]);
  return { objectClass, attributes };
}

function sudoEntry(rule: ServedRule, parent: string, description: string, entryUUID: string): BareEntry {
  const attributes: Attributes = [
    ['cn', [rule.cn]],
    ['sudoUser', rule.sudoUsers],
    ['sudoHost', rule.hosts],
    ['sudoCommand', rule.commands],
  ];
  if (rule.runAsUser.length > 0) attributes.push(['sudoRunAsUser', rule.runAsUser]);
  if (rule.runAsGroup.length > 0) attributes.push(['sudoRunAsGroup', rule.runAsGroup]);
  if (rule.options.length > 0) attributes.push(['sudoOption', rule.options]);
  attributes.push(['sudoOrder', [String(rule.order)]]);
  if (rule.notBefore !== null) attributes.push(['sudoNotBefore', [generalizedTime(rule.notBefore)]]);
  if (rule.notAfter !== null) attributes.push(['sudoNotAfter', [generalizedTime(rule.notAfter)]]);
  const text = readable(description);
  if (text !== '') attributes.push(['description', [text]]);
  return { dn: `cn=${escapeRdnValue(rule.cn)},${parent}`, objectClass: ['top', 'sudoRole'], attributes, entryUUID };
}

function defaultsEntry(
  settings: DirectorySettings,
  parent: string,
  entryUUID: string,
  lint: (lint: Lint) => void,
): BareEntry | null {
  const options = new Set<string>();
  for (const text of settings.sudo.defaults ?? []) {
    // Defaults hold for every rule: approval cannot be switched off here, whatever the mode.
    const checked = checkOption(text, { ...settings.sudo, noAuthenticate: 'false' });
    if (checked.ok) for (const option of checked.options) options.add(option);
    else lint({ code: 'sudo_value_rejected', subject: 'rule defaults', detail: checked.problem });
  }
  if (options.size === 0) return null;
  return {
    dn: `cn=defaults,${parent}`,
    objectClass: ['top', 'sudoRole'],
    attributes: [
      ['cn', ['defaults']],
      ['sudoOption', [...options]],
    ],
    entryUUID,
  };
}

/** People with rules both with and without approval: sudo takes the higher order, which is easy to overlook. */
function lintOverlaps(rules: readonly ServedRule[], lint: (lint: Lint) => void): void {
  const open = rules.filter(({ options }) => options.includes('!authenticate'));
  if (open.length === 0 || open.length === rules.length) return;
  for (const free of open) {
    const users = new Set(free.sudoUsers);
    const other = rules.find(
      (rule) => !rule.options.includes('!authenticate') && rule.sudoUsers.some((user) => users.has(user)),
    );
    if (other) {
      const winner = (free.order ?? 0) > (other.order ?? 0) ? free.cn : other.cn;
      lint({
        code: 'sudo_overlap_auth',
        subject: `rule ${free.cn}`,
        detail: `overlaps with ${other.cn}; ${winner} has the higher order`,
      });
    }
  }
}
