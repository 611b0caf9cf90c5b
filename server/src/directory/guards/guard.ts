import { canonicalSha256 } from '#shared/digest.ts';
import {
  claimOf,
  type DirectoryGroup,
  type DirectorySnapshot,
  type DirectoryUser,
  EMPTY_SNAPSHOT,
  identityKey,
  order,
  withMembers,
} from '../source/model.ts';
import { hasSudoClaims, SUDO_CLAIMS } from '../sudo/from-claims.ts';
import { type HeldChange, MAX_LISTED } from './held-change.ts';

/** What waits for an operator; one set per source. */
export interface GuardSettings {
  /** New members of a group that produces root, and changes of its rule. */
  readonly power: 'hold' | 'publish';
  /** `changed`: a renamed person, or a new one who takes another person's name. `all`: every new account too. */
  readonly bindings: 'all' | 'changed' | 'publish';
  /** Share of users, groups or memberships that may vanish at once, percent. 0: any. */
  readonly massChangePercent: number;
  /** Never a mass change up to this number. */
  readonly massChangeMinimum: number;
}

export const DEFAULT_GUARDS: GuardSettings = {
  power: 'hold',
  bindings: 'changed',
  massChangePercent: 30,
  massChangeMinimum: 5,
};

export type Hold = HeldChange & {
  /** What it is about, for people. */
  readonly subject: string;
  /** Names exactly this change: who confirms it confirms nothing else. */
  readonly digest: string;
};

export interface GuardInput {
  /** What hosts see; null when nothing was ever published. */
  readonly published: DirectorySnapshot | null;
  readonly candidate: DirectorySnapshot;
  /** Digest → what an operator said. */
  readonly decided: ReadonlyMap<string, 'open' | 'confirmed' | 'rejected'>;
  /** The Linux account of a user; null when they would not be served. */
  readonly accountOf: (user: DirectoryUser) => string | null;
  /** What the source called somebody whose numbers are kept although hosts do not see them now; null for a stranger. */
  readonly lastNameOf: (user: DirectoryUser) => string | null;
  /** Folded name → key of its owner, or of one who left it so lately that no other may have it (`user <issuer> <id>`). */
  readonly owners: ReadonlyMap<string, string>;
  /** Account → the person it is bound to by sign-in: only an operator gives it to another one. */
  readonly pinned: ReadonlyMap<string, { readonly issuer: string; readonly subject: string }>;
  /** False where sudo rules do not come from claims. */
  readonly claimsGivePower: boolean;
  /** Names of the rules of the database that are for this group. */
  readonly rulesFor: (group: DirectoryGroup) => readonly string[];
  readonly settings: GuardSettings;
}

export interface GuardResult {
  readonly publish: DirectorySnapshot;
  /** Everything that needs or needed an operator in this candidate, confirmed or not. */
  readonly arising: readonly Hold[];
  /** Account → identity key, for names that an operator gave to another person. */
  readonly granted: ReadonlyMap<string, string>;
}

/**
 * Compares what a source says now with what hosts see, and keeps back what could give a person power unseen. Taking
 * power away is never kept back, but for a mass change, which is more often an accident at the source.
 */
export function guard(input: GuardInput): GuardResult {
  const { candidate, settings } = input;
  const published = input.published ?? EMPTY_SNAPSHOT;
  const arising: Hold[] = [];
  /** Notes a change; true when it may happen. */
  const allowed: Allowed = (change, subject, proof) => {
    const digest = canonicalSha256({ kind: change.kind, proof });
    arising.push({ ...change, subject, digest });
    return input.decided.get(digest) === 'confirmed';
  };

  if (input.published && !massChangeAllowed(published, candidate, settings, allowed)) {
    return { publish: published, arising, granted: new Map() };
  }

  const granted = new Map<string, string>();
  const users = settings.bindings === 'publish' ? candidate.users : guardBindings(input, published, allowed, granted);
  const publish = { users, groups: candidate.groups };
  if (!input.published || settings.power === 'publish') {
    return { publish: withoutStrangers(publish), arising, granted };
  }
  return {
    publish: withoutStrangers({ users, groups: guardPower(input, published, users, allowed) }),
    arising,
    granted,
  };
}

type Allowed = (change: HeldChange, subject: string, proof: unknown) => boolean;

function massChangeAllowed(
  published: DirectorySnapshot,
  candidate: DirectorySnapshot,
  settings: GuardSettings,
  allowed: Allowed,
): boolean {
  const users = new Map(candidate.users.map((user) => [identityKey(user), user]));
  const groups = new Map(candidate.groups.map((group) => [identityKey(group), group]));
  const before = published.users.filter(({ disabled }) => !disabled);
  const lostUsers = before.filter((user) => users.get(identityKey(user))?.disabled !== false).map(identityKey);
  const lost = new Set(lostUsers);
  const lostGroups = published.groups.filter((group) => !groups.has(identityKey(group))).map(identityKey);
  const usernames = new Map(published.users.map((user) => [identityKey(user), user.username]));
  let members = 0;
  const lostMembers: string[] = [];
  const lostMemberNames: string[] = [];
  for (const group of published.groups) {
    const now = groups.get(identityKey(group));
    members += group.userIds.length;
    if (!now) continue;
    const still = new Set(now.userIds);
    for (const id of group.userIds) {
      if (still.has(id)) continue;
      lostMembers.push(`${identityKey(group)} ${id}`);
      if (lostMemberNames.length === MAX_LISTED) continue;
      const username = usernames.get(identityKey({ issuer: group.issuer, id })) ?? id;
      lostMemberNames.push(`${username} in ${group.name}`);
    }
  }
  const tooMany = (count: number, all: number): boolean =>
    settings.massChangePercent > 0 &&
    count > settings.massChangeMinimum &&
    count * 100 > all * settings.massChangePercent;
  // An empty answer is a broken source until an operator says otherwise.
  const emptied =
    (candidate.users.length === 0 && published.users.length > 0) ||
    (candidate.groups.length === 0 && published.groups.length > 1);
  if (
    !emptied &&
    !tooMany(lostUsers.length, before.length) &&
    !tooMany(lostGroups.length, published.groups.length) &&
    !tooMany(lostMembers.length, members)
  ) {
    return true;
  }
  const detail = {
    users: {
      count: lostUsers.length,
      before: before.length,
      names: before
        .filter((user) => lost.has(identityKey(user)))
        .slice(0, MAX_LISTED)
        .map(({ username }) => username),
    },
    groups: {
      count: lostGroups.length,
      before: published.groups.length,
      names: published.groups
        .filter((group) => !groups.has(identityKey(group)))
        .slice(0, MAX_LISTED)
        .map(({ name }) => name),
    },
    memberships: { count: lostMembers.length, before: members, names: lostMemberNames },
  };
  return allowed({ kind: 'mass_change', detail }, 'directory', [lostUsers, lostGroups, lostMembers]);
}

function guardBindings(
  input: GuardInput,
  published: DirectorySnapshot,
  allowed: Allowed,
  granted: Map<string, string>,
): readonly DirectoryUser[] {
  const { accountOf, settings } = input;
  const before = new Map(published.users.map((user) => [identityKey(user), user]));
  const owners = new Map(input.owners);
  for (const user of published.users) {
    const account = accountOf(user);
    if (account !== null) owners.set(account.toLowerCase(), `user ${identityKey(user)}`);
  }
  const result: DirectoryUser[] = [];
  for (const user of input.candidate.users) {
    const key = identityKey(user);
    const account = accountOf(user);
    const old = before.get(key);
    const oldAccount = old ? accountOf(old) : accountLeft(input, user, account);
    if (account === null || account === oldAccount) {
      // A person who cannot be served under the new name gives their name up; that takes power away.
      result.push(user);
      continue;
    }
    const name = account.toLowerCase();
    const owner = owners.get(name);
    const pin = input.pinned.get(account);
    const othersName = owner !== undefined && owner !== `user ${key}`;
    const othersPin = pin !== undefined && (pin.issuer !== user.issuer || pin.subject !== user.id);
    if (oldAccount === null && !othersName && !othersPin && (settings.bindings !== 'all' || input.published === null)) {
      result.push(user);
      continue;
    }
    const detail = {
      person: { issuer: user.issuer, subject: user.id, username: user.username },
      from: oldAccount,
      to: account,
      returning: !old && oldAccount !== null,
      owner: othersPin
        ? ownerOf(published, `user ${pin.issuer} ${pin.subject}`, () => 'signs_in')
        : othersName
          ? ownerOf(published, owner, (now) => (now && accountOf(now)?.toLowerCase() === name ? 'has' : 'left'))
          : null,
    };
    const proof = { key, from: oldAccount, to: account, owner: owner ?? null, pin: pin ?? null };
    const fine = allowed({ kind: 'binding', detail }, `account ${account}`, proof);
    if (fine) {
      granted.set(name, key);
      result.push(user);
    } else if (old) {
      // Everything but the name is up to date: a person who was disabled stays out.
      result.push({ ...user, username: old.username });
    }
  }
  return result;
}

/**
 * The account that somebody had who is back under another name: the uid and the files of it would be theirs, and a source
 * that gives an identifier twice would hand them to a stranger. Null when there is none, or when it is the same.
 */
function accountLeft(input: GuardInput, user: DirectoryUser, account: string | null): string | null {
  const name = input.published === null ? null : input.lastNameOf(user);
  const left = name === null ? null : input.accountOf({ ...user, username: name });
  return left === account ? null : left;
}

type NameOwner = NonNullable<Extract<HeldChange, { kind: 'binding' }>['detail']['owner']>;

/** Whose a name is, for people. @param key `user <issuer> <id>` or `group <issuer> <id>` */
function ownerOf(
  published: DirectorySnapshot,
  key: string,
  claimOfUser: (now: DirectoryUser | undefined) => NameOwner['claim'],
): NameOwner {
  const [kind, issuer = '', subject = ''] = key.split(' ');
  const is = (one: { issuer: string; id: string }) => one.issuer === issuer && one.id === subject;
  if (kind === 'group') {
    const group = published.groups.find(is);
    return { kind, issuer, subject, name: group?.name ?? null, claim: group ? 'has' : 'left' };
  }
  const user = published.users.find(is);
  return { kind: 'user', issuer, subject, name: user?.username ?? null, claim: claimOfUser(user) };
}

function sudoClaimsOf(group: DirectoryGroup): Record<string, string> {
  return Object.fromEntries(
    SUDO_CLAIMS.map((key) => [key, claimOf(group, key)]).filter(
      (pair): pair is [string, string] => pair[1] !== undefined,
    ),
  );
}

function guardPower(
  input: GuardInput,
  published: DirectorySnapshot,
  users: readonly DirectoryUser[],
  allowed: Allowed,
): readonly DirectoryGroup[] {
  const { claimsGivePower, rulesFor } = input;
  const before = new Map(published.groups.map((group) => [identityKey(group), group]));
  const enabled = new Map(users.filter(({ disabled }) => !disabled).map((user) => [identityKey(user), user]));
  const enabledBefore = new Set(published.users.filter(({ disabled }) => !disabled).map(identityKey));
  const givesPower = (group: DirectoryGroup) => (claimsGivePower && hasSudoClaims(group)) || rulesFor(group).length > 0;
  const keyOf = (group: DirectoryGroup, id: string) => identityKey({ issuer: group.issuer, id });
  const listed = (group: DirectoryGroup, ids: readonly string[]) =>
    ids.slice(0, MAX_LISTED).map((id) => {
      const user = enabled.get(keyOf(group, id));
      return { subject: id, username: user?.username ?? id, account: user ? input.accountOf(user) : null };
    });

  return input.candidate.groups.map((wanted) => {
    const key = identityKey(wanted);
    const old = before.get(key);
    let group = wanted;
    const live = wanted.userIds.filter((id) => enabled.has(keyOf(wanted, id)));
    if (claimsGivePower && hasSudoClaims(wanted)) {
      const [was, is] = [old ? sudoClaimsOf(old) : {}, sudoClaimsOf(wanted)];
      const changed = canonicalSha256(was) !== canonicalSha256(is);
      if (
        changed &&
        // Who gets it is part of what the operator confirms.
        !allowed(
          {
            kind: 'power_rule',
            detail: {
              group: wanted.name,
              before: was,
              after: is,
              members: listed(wanted, live),
              count: live.length,
            },
          },
          `group ${wanted.name}`,
          { key, was, is, live },
        )
      ) {
        const kept = wanted.customClaims.filter(({ key: name }) => !(SUDO_CLAIMS as readonly string[]).includes(name));
        const back = Object.entries(was).map(([name, value]) => ({ key: name, value }));
        group = { ...wanted, customClaims: [...kept, ...back].sort((a, b) => order(a.key, b.key)) };
      } else if (changed) return group;
    }
    if (!givesPower(group)) return group;
    const had = new Set(old && givesPower(old) ? old.userIds.filter((id) => enabledBefore.has(keyOf(old, id))) : []);
    const grown = live.filter((id) => !had.has(id));
    if (grown.length === 0) return group;
    const claims = claimsGivePower ? sudoClaimsOf(group) : {};
    const detail = {
      group: wanted.name,
      claims,
      rules: [...rulesFor(group)],
      added: listed(wanted, grown),
      count: grown.length,
    };
    const proof = { key, rule: sudoClaimsOf(group), grown };
    const fine = allowed({ kind: 'power_member', detail }, `group ${wanted.name}`, proof);
    if (fine) return group;
    const heldBack = new Set(grown);
    return withMembers(
      group,
      group.userIds.filter((id) => !heldBack.has(id)),
    );
  });
}

/** Members that are not published are left out of their groups. */
function withoutStrangers(snapshot: DirectorySnapshot): DirectorySnapshot {
  const known = new Set(snapshot.users.map(identityKey));
  return {
    users: snapshot.users,
    groups: snapshot.groups.map((group) =>
      group.userIds.every((id) => known.has(identityKey({ issuer: group.issuer, id })))
        ? group
        : withMembers(
            group,
            group.userIds.filter((id) => known.has(identityKey({ issuer: group.issuer, id }))),
          ),
    ),
  };
}
