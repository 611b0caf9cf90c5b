import { bareIssuer } from '../../platform/issuer.ts';
import type { NameWishes, ServedAs } from '../numbers/numbers.ts';
import type { Lint } from '../source/lint.ts';
import { type DirectorySnapshot, type DirectoryUser, EMPTY_SNAPSHOT, identityKey } from '../source/model.ts';
import { guardHosts } from './guard-hosts.ts';
import { guardPower, namelessIn } from './guard-power.ts';
import { guardReports } from './guard-reports.ts';
import { type Allowed, type HeldChange, holdDigest, MAX_LISTED } from './held-change.ts';
import type { PowerIndex } from './power.ts';
import { withoutStrangers } from './without-strangers.ts';

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
  /** What the source called a person whose numbers are kept although hosts do not see them now; null for a stranger. */
  readonly lastNameOf: (user: DirectoryUser) => string | null;
  /** Folded name → key of its owner, or of one who left it so lately that no other may have it (`user <issuer> <id>`). */
  readonly owners: ReadonlyMap<string, string>;
  /** Folded account → the person it is bound to by sign-in: only an operator gives it to another one. */
  readonly pinned: ReadonlyMap<string, { readonly issuer: string; readonly subject: string }>;
  /** False where sudo rules do not come from claims. */
  readonly claimsGivePower: boolean;
  readonly hosts: Pick<Parameters<typeof guardHosts>[0], 'hosts' | 'stored' | 'localOf' | 'settings'>;
  /** What gives power by name. */
  readonly power: PowerIndex;
  /** Host name → id of every host that says what its files give. */
  readonly reporters: ReadonlyMap<string, string>;
  /** Who is served under what now. */
  readonly was: ServedAs;
  /** Who would be with another snapshot. */
  readonly will: (snapshot: DirectorySnapshot, wishes: NameWishes) => ServedAs;
  readonly settings: GuardSettings;
}

export interface GuardResult {
  readonly publish: DirectorySnapshot;
  /** See {@link guardHosts}. */
  readonly hosts: ReturnType<typeof guardHosts>;
  /** Everything that needs or needed an operator in this candidate, confirmed or not. */
  readonly arising: readonly Hold[];
  /** What cannot be had, so that there is nothing to decide. */
  readonly lints: readonly Lint[];
  /** Account → owner key, for names that an operator gave to another person; owner keys of those who get none yet. */
  readonly wishes: { readonly granted: ReadonlyMap<string, string>; readonly withheld: ReadonlySet<string> };
}

/**
 * Compares what a source says now with what hosts see, and keeps back what could give a person power unseen. Taking
 * power away is never kept back, but for a mass change, which is more often an accident at the source.
 */
export function guard(input: GuardInput): GuardResult {
  const { candidate, settings } = input;
  const published = input.published ?? EMPTY_SNAPSHOT;
  const arising = new Map<string, Hold>();
  const allowed: Allowed = (change, subject, proof) => {
    const digest = holdDigest(change.kind, proof);
    arising.set(digest, { ...change, subject, digest });
    return input.decided.get(digest) === 'confirmed';
  };
  const granted = new Map<string, string>();
  const lints: Lint[] = [];
  const result = (publish: DirectorySnapshot, withheld: ReadonlySet<string>): GuardResult => ({
    publish,
    hosts:
      settings.power === 'publish'
        ? {
            apart: new Set(),
            admitted: input.hosts.hosts
              .filter(({ isNew, silent, waits }) => !silent && (isNew || waits))
              .map(({ id }) => id),
          }
        : guardHosts({
            ...input.hosts,
            snapshot: publish,
            names: () => input.will(publish, { granted, withheld }),
            claimsGivePower: input.claimsGivePower,
            allowed,
          }),
    arising: [...arising.values()],
    lints,
    wishes: { granted, withheld },
  });

  if (input.published && !massChangeAllowed(published, candidate, settings, allowed)) {
    return result(published, namelessIn(published, input.was));
  }
  const users =
    settings.bindings === 'publish' ? candidate.users : guardBindings(input, published, { allowed, granted, lints });
  const publish = withoutStrangers({ users, groups: candidate.groups });
  if (settings.power === 'publish') return result(publish, new Set());
  const held = guardReports({
    ...input,
    allowed,
    run: (power, asking, over) =>
      guardPower({
        ...input,
        published,
        candidate: publish,
        first: input.published === null,
        granted,
        power,
        allowed: asking,
        ...over,
      }),
  });
  return result(held.publish, held.withheld);
}

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
  out: { allowed: Allowed; granted: Map<string, string>; lints: Lint[] },
): readonly DirectoryUser[] {
  const { accountOf, settings } = input;
  const { allowed, granted, lints } = out;
  const wanted = new Map(input.candidate.users.map((user) => [`user ${identityKey(user)}`, user]));
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
    const pin = input.pinned.get(name);
    const othersName = owner !== undefined && owner !== `user ${key}`;
    const othersPin =
      pin !== undefined && (bareIssuer(pin.issuer) !== bareIssuer(user.issuer) || pin.subject !== user.id);
    if (oldAccount === null && !othersName && !othersPin && (settings.bindings !== 'all' || input.published === null)) {
      result.push(user);
      continue;
    }
    const holder = othersName && input.owners.get(name) === owner ? wanted.get(owner) : undefined;
    if (holder && accountOf(holder)?.toLowerCase() === name) {
      // The person who has a name keeps it for as long as they are called by it: no answer could give it to another one.
      lints.push({
        code: 'name_collision',
        subject: `user ${user.username}`,
        detail: `${name} is the name of ${holder.username}: ${old && oldAccount !== null ? `until one of them is renamed, they stay ${oldAccount}` : 'rename one of them'}`,
      });
      if (old) result.push({ ...user, username: old.username });
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
      granted.set(name, `user ${key}`);
      result.push(user);
    } else if (old) {
      // Everything but the name is up to date: a person who was disabled stays out.
      result.push({ ...user, username: old.username });
    }
  }
  return result;
}

/**
 * The account of a person who is back under another name: the uid and the files of it would be theirs, and a source
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
