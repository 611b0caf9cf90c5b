import { canonicalSha256 } from '#shared/digest.ts';
import { groupOwner, ownerKey, userOwner } from '../numbers/ids.ts';
import type { NameWishes, ServedAs } from '../numbers/numbers.ts';
import {
  claimOf,
  type DirectoryGroup,
  type DirectorySnapshot,
  type DirectoryUser,
  identityKey,
  isSudoKey,
  order,
  withMembers,
} from '../source/model.ts';
import { hasSudoClaims } from '../sudo/from-claims.ts';
import { type Allowed, type HeldChange, MAX_LISTED } from './held-change.ts';
import {
  givePower,
  isCovered,
  type LocalPower,
  localPart,
  type Power,
  type PowerIndex,
  type PowerSource,
  powerOf,
  sourceOfClaims,
  sourcesOfGroup,
  sourcesOfUser,
  sudoClaimsOf,
  withTargets,
} from './power.ts';
import { withoutStrangers } from './without-strangers.ts';

export interface PowerGuardInput {
  readonly published: DirectorySnapshot;
  /** Nothing was ever published: what the source says of power is the start, and only files of hosts are looked at. */
  readonly first: boolean;
  /** With the names that the guard of bindings left. */
  readonly candidate: DirectorySnapshot;
  readonly claimsGivePower: boolean;
  readonly power: PowerIndex;
  readonly was: ServedAs;
  readonly will: (snapshot: DirectorySnapshot, wishes: NameWishes) => ServedAs;
  readonly granted: ReadonlyMap<string, string>;
  readonly accountOf: (user: DirectoryUser) => string | null;
  readonly allowed: Allowed;
  /** Owner keys of those who get no name whatever is found here. */
  readonly withheld?: ReadonlySet<string>;
}

/** A name that is kept back may free another one. Chains of names that end later than this were made to be long. */
const MAX_PASSES = 8;

/**
 * Compares the power that people would have with the power that they have, by whatever it would come: a member, a rule, a
 * name, a name that was kept free until now, a number. What grows waits for an operator.
 *
 * @returns what may be published, and owner keys of those who get no name yet.
 */
export function guardPower(input: PowerGuardInput): { publish: DirectorySnapshot; withheld: ReadonlySet<string> } {
  const { published, first, granted, was, will, allowed } = input;
  const claims = input.claimsGivePower && !first;
  const bare = first ? localPart(input.power) : input.power;
  const withheld = new Set<string>(input.withheld);
  const { users, groups, uids, gids, everybody } = bare;
  const byName = users.size + groups.size + uids.size + gids.size + everybody.length > 0;
  if (!byName && !(claims && input.candidate.groups.some((group) => sourceOfClaims(group) !== null))) {
    return { publish: input.candidate, withheld };
  }

  const index = withRunAs(input, bare, claims);
  const had = powerOf(published, was, index, claims);
  const before = {
    users: new Map(published.users.map((user) => [identityKey(user), user])),
    groups: new Map(published.groups.map((group) => [identityKey(group), group])),
  };
  const names = () => will(publish, { granted, withheld });
  let publish = input.candidate;
  if (claims) publish = guardRules(publish, names(), before.groups, had, allowed, input.accountOf);
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    const next = holdBack({ ...input, publish, names: names(), index, claims, had, before, withheld });
    if (next === null) return { publish, withheld };
    publish = next;
  }
  return { publish: onlyLess(published, input.candidate), withheld: namelessIn(published, was) };
}

/**
 * Owner keys of those who are published and have no name. Where what was published stays, so do they: a name that waits
 * for an answer must not be had because another question came up.
 */
export function namelessIn(published: DirectorySnapshot, was: ServedAs): ReadonlySet<string> {
  const owners = [...published.users.map(userOwner), ...published.groups.map(groupOwner)];
  return new Set(owners.filter((owner) => was.nameOf(owner) === undefined).map(ownerKey));
}

/** What gives power over others counts where somebody has it now: who comes to have it is asked about as such. */
function withRunAs({ published, candidate, was }: PowerGuardInput, index: PowerIndex, claims: boolean): PowerIndex {
  const rules = claims ? [...published.groups, ...candidate.groups].filter(hasTargets) : [];
  if (rules.length + index.runAs.size === 0) return index;
  const held = new Set([...powerOf(published, was, index, claims).values()].flatMap((own) => [...own.keys()]));
  return withTargets(index, rules, (id) => held.has(id));
}

interface Pass extends Pick<PowerGuardInput, 'allowed' | 'accountOf' | 'was'> {
  readonly publish: DirectorySnapshot;
  readonly names: ServedAs;
  readonly index: PowerIndex;
  readonly claims: boolean;
  readonly had: ReadonlyMap<string, Power>;
  readonly before: {
    readonly users: ReadonlyMap<string, DirectoryUser>;
    readonly groups: ReadonlyMap<string, DirectoryGroup>;
  };
  /** Added to. */
  readonly withheld: Set<string>;
}

/** Keeps back everything by which a person's power grows. Null: nothing has to be kept back. */
function holdBack(pass: Pass): DirectorySnapshot | null {
  const { publish, names, index, had } = pass;
  const gained = (key: string, sources: readonly PowerSource[]): readonly PowerSource[] => {
    if (sources.length === 0) return sources;
    const own = had.get(key);
    return sources.filter((source) => !isCovered(own, source));
  };
  let changed = false;
  const users = publish.users.map((user) => {
    const sources = gained(identityKey(user), sourcesOfUser(user, names, index));
    if (sources.length === 0) return user;
    const kept = holdUser(pass, user, sources);
    if (kept === null) return user;
    changed = true;
    return kept;
  });
  const served = new Map(
    publish.users
      .filter((user) => !user.disabled && names.nameOf(userOwner(user)) !== undefined)
      .map((user) => [identityKey(user), user]),
  );
  const groups = publish.groups.map((group) => {
    const sources = sourcesOfGroup(group, names, index, pass.claims);
    if (sources.length === 0) return group;
    const keyOf = (id: string) => identityKey({ issuer: group.issuer, id });
    const grown = group.userIds.filter((id) => served.has(keyOf(id)) && gained(keyOf(id), sources).length > 0);
    if (grown.length === 0) return group;
    const people = grown.map((id) => served.get(keyOf(id))!);
    const kept = holdGroup(pass, group, sources, people);
    if (kept === null) return group;
    changed = true;
    return kept;
  });
  return changed ? withoutStrangers({ users, groups }) : null;
}

/** Whether the claims of a group name another group that their commands run as. */
const hasTargets = (group: DirectoryGroup): boolean =>
  hasSudoClaims(group) && (claimOf(group, 'sudoRunAsUser') ?? '').includes('%');

/** As many as are listed, in turns from each host: the many lines of one must not hide another. */
function fromEachHost(local: readonly LocalPower[]): LocalPower[] {
  const byHost = [...Map.groupBy(local, ({ host }) => host).values()];
  const longest = Math.max(0, ...byHost.map(({ length }) => length));
  const turns = Array.from({ length: Math.min(longest, MAX_LISTED) }, (_, turn) => turn);
  return turns.flatMap((turn) => byHost.flatMap((lines) => lines[turn] ?? [])).slice(0, MAX_LISTED);
}

const localOf = (sources: readonly PowerSource[]): LocalPower[] => sources.flatMap(({ local }) => local);

/** What is shown of sources: rules by name, files of hosts one by one. */
const shown = (sources: readonly PowerSource[]) => ({
  rules: sources.flatMap(({ rule, asTarget }) => (asTarget ? [] : (rule ?? []))),
  runAs: sources.flatMap(({ rule, asTarget }) => (asTarget ? (rule ?? []) : [])),
  local: fromEachHost(sources.flatMap(({ local }) => local)).map(({ host, type, name, gives, file, line }) => ({
    host,
    type,
    name,
    gives,
    file,
    line,
  })),
});

/** All that an answer is about: another host that gives power by the same name, or one that gives more, asks anew. */
const idsOf = (sources: readonly PowerSource[]): string[] => {
  const gifts = sources.flatMap(({ local }) =>
    local.map(({ host, type, name, gives }) => canonicalSha256([host, type, name, gives])),
  );
  return [...new Set([...sources.map(({ id }) => id), ...gifts])].sort(order);
};

const listed = (people: readonly DirectoryUser[], accountOf: PowerGuardInput['accountOf']) =>
  people.slice(0, MAX_LISTED).map((user) => ({ subject: user.id, username: user.username, account: accountOf(user) }));

/** A person as they may be served until an operator has looked; null: as they are. */
function holdUser(pass: Pass, user: DirectoryUser, sources: readonly PowerSource[]): DirectoryUser | null {
  const { names, before, withheld, accountOf } = pass;
  const key = identityKey(user);
  const name = names.nameOf(userOwner(user))!;
  const change: HeldChange = {
    kind: 'power_name',
    detail: {
      owner: { kind: 'user', issuer: user.issuer, subject: user.id, name: user.username },
      name,
      ...shown(sources),
      gains: listed([user], accountOf),
      count: 1,
    },
  };
  if (pass.allowed(change, `account ${name}`, { key, name, by: idsOf(sources) }, localOf(sources))) return null;
  const old = before.users.get(key);
  if (old && accountOf(old) !== accountOf(user)) return { ...user, username: old.username };
  // They were served as a person who is locked out, and stay that.
  if (old?.disabled) return { ...user, disabled: true };
  withheld.add(ownerKey(userOwner(user)));
  return { ...user };
}

/** A group as it may be served until an operator has looked; null: as it is. */
function holdGroup(
  pass: Pass,
  group: DirectoryGroup,
  sources: readonly PowerSource[],
  grown: readonly DirectoryUser[],
): DirectoryGroup | null {
  const { names, was, before, accountOf } = pass;
  const key = identityKey(group);
  const name = names.nameOf(groupOwner(group))!;
  const old = before.groups.get(key);
  const oldName = old && was.nameOf(groupOwner(group));
  const named = sources.filter(({ rule, local }) => rule !== null || local.length > 0);
  const people = { gains: listed(grown, accountOf), count: grown.length };
  const ids = grown.map(({ id }) => id);
  if (old && named.length > 0 && oldName?.toLowerCase() !== name.toLowerCase()) {
    const owner = { kind: 'group' as const, issuer: group.issuer, subject: group.id, name: group.name };
    const change: HeldChange = { kind: 'power_name', detail: { owner, name, ...shown(named), ...people } };
    const proof = { key, name, by: idsOf(sources), grown: ids };
    if (pass.allowed(change, `group ${name}`, proof, localOf(sources))) return null;
    // Under the old name they keep what they had by it.
    if (old.name !== group.name) return { ...group, name: old.name };
  } else {
    const rule = pass.claims ? sudoClaimsOf(group) : {};
    const change: HeldChange = {
      kind: 'power_member',
      detail: { group: group.name, claims: rule, ...shown(named), added: people.gains, count: people.count },
    };
    const proof = { key, rule, grown: ids, ...(named.length > 0 ? { by: idsOf(named) } : {}) };
    if (pass.allowed(change, `group ${group.name}`, proof, localOf(sources))) return null;
  }
  const heldBack = new Set(ids);
  return withMembers(
    group,
    group.userIds.filter((id) => !heldBack.has(id)),
  );
}

/** Holds changed sudo claims of groups. Who may have what is added to `had`. */
function guardRules(
  candidate: DirectorySnapshot,
  names: ServedAs,
  before: ReadonlyMap<string, DirectoryGroup>,
  had: Map<string, Power>,
  allowed: Allowed,
  accountOf: PowerGuardInput['accountOf'],
): DirectorySnapshot {
  const enabled = new Map(candidate.users.filter(({ disabled }) => !disabled).map((user) => [identityKey(user), user]));
  const groups = candidate.groups.map((wanted) => {
    // Without a name on hosts, or with a rule that cannot be read, there is nothing that an answer could change.
    const source = sourceOfClaims(wanted);
    if (source === null || names.nameOf(groupOwner(wanted)) === undefined) return wanted;
    const key = identityKey(wanted);
    const old = before.get(key);
    const [was, is] = [old ? sudoClaimsOf(old) : {}, sudoClaimsOf(wanted)];
    if (canonicalSha256(was) === canonicalSha256(is)) return wanted;
    const people = wanted.userIds.flatMap((id) => enabled.get(identityKey({ issuer: wanted.issuer, id })) ?? []);
    // Less than before, or the same in other words, waits for nobody.
    if (people.every((person) => isCovered(had.get(identityKey(person)), source))) return wanted;
    // Who gets it is part of what the operator confirms.
    const change: HeldChange = {
      kind: 'power_rule',
      detail: {
        group: wanted.name,
        before: was,
        after: is,
        members: listed(people, accountOf),
        count: people.length,
      },
    };
    if (allowed(change, `group ${wanted.name}`, { key, was, is, live: people.map(({ id }) => id) })) {
      for (const person of people) givePower(had, identityKey(person), [source]);
      return wanted;
    }
    const kept = wanted.customClaims.filter(({ key: name }) => !isSudoKey(name));
    const back = Object.entries(was).map(([name, value]) => ({ key: name, value }));
    return { ...wanted, customClaims: [...kept, ...back].sort((a, b) => order(a.key, b.key)) };
  });
  return { users: candidate.users, groups };
}

/** What was published, less what the source took away. */
function onlyLess(published: DirectorySnapshot, candidate: DirectorySnapshot): DirectorySnapshot {
  const users = new Map(candidate.users.map((user) => [identityKey(user), user]));
  const groups = new Map(candidate.groups.map((group) => [identityKey(group), group]));
  return withoutStrangers({
    users: published.users
      .filter((user) => users.has(identityKey(user)))
      .map((user) => (users.get(identityKey(user))!.disabled ? { ...user, disabled: true } : user)),
    groups: published.groups.flatMap((group) => {
      const now = groups.get(identityKey(group));
      if (!now) return [];
      const still = new Set(now.userIds);
      return withMembers(
        group,
        group.userIds.filter((id) => still.has(id)),
      );
    }),
  });
}
