import { accountName } from '#shared/names.ts';
import type { DirectorySettings } from '../settings.ts';
import type { Lint, LintCode } from '../source/lint.ts';
import { type DirectorySnapshot, order } from '../source/model.ts';
import { groupOwner, type Owner, ownerKey, userOwner } from './ids.ts';
import { nameInstead, ruleBroken } from './name-advice.ts';
import { isReservedGroup, isReservedUser } from './reserved-names.ts';

const STRICT = /^[a-z_][a-z0-9_.-]{0,31}$/;
const ANY_CASE = /^[a-zA-Z_][a-zA-Z0-9_.-]{0,31}$/;

export type MappedName =
  | { ok: true; name: string }
  /** `why` says which rule of naming is broken. */
  | { ok: false; code: 'name_invalid' | 'name_reserved'; why: string };

// ASCII only: what other alphabets call lower case differs by language, and no account name has any of it.
const foldCase = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

const fits = (name: string, policy: DirectorySettings['names']['policy']): boolean =>
  (policy === 'preserve' ? ANY_CASE : STRICT).test(name) && !name.endsWith('.');

const reservedName = (name: string): MappedName => ({
  ok: false,
  code: 'name_reserved',
  why: `${name} belongs to the system`,
});
const invalidName = (name: string, policy: DirectorySettings['names']['policy']): MappedName => ({
  ok: false,
  code: 'name_invalid',
  why: ruleBroken(name, policy),
});

/**
 * A name after the policy, before it is asked whether it can be one. Characters that differ in width or composition only
 * are one character (NFKC, Unicode Standard Annex 15): two names that a person cannot tell apart must not be two accounts.
 */
function byPolicy(name: string, policy: DirectorySettings['names']['policy']): string {
  if (policy === 'strict') return name;
  const whole = name.normalize('NFKC');
  const local = policy === 'localpart' ? whole.replace(/@.*$/s, '') : whole;
  return policy === 'fold' || policy === 'localpart' ? foldCase(local) : local;
}

/** The account of a user name where accounts come from elsewhere: whatever hosts may report. Null: they report no such name. */
export function accountNameElsewhere(username: string, policy: 'localpart' | 'preserve'): string | null {
  const parsed = accountName.safeParse(byPolicy(username, policy));
  return parsed.success ? parsed.data : null;
}

/** The Linux account name of a user name, at the source and in a sign-in. */
export function mapUserName(username: string, settings: DirectorySettings['names']): MappedName {
  const { policy } = settings;
  let name = byPolicy(username, policy);
  // Looked at before a digit gets its underscore: `_apt` is the system's, `_1000` is ours.
  if (isReservedUser(name, settings.reserved)) return reservedName(name);
  if (policy !== 'strict' && /^[0-9]/.test(name)) name = `_${name}`;
  return fits(name, policy) ? { ok: true, name } : invalidName(name, policy);
}

/** The Linux group name of a group name at the source. */
export function mapGroupName(groupName: string, settings: DirectorySettings['names']): MappedName {
  const { policy } = settings;
  const name = byPolicy(groupName, policy === 'localpart' ? 'fold' : policy);
  if (isReservedGroup(name, settings.reserved)) return reservedName(name);
  const rules = policy === 'preserve' ? 'preserve' : 'strict';
  return fits(name, rules) ? { ok: true, name } : invalidName(name, rules);
}

/** Who has a name, or had it last. */
export interface NameRecord extends Owner {
  /** Lower case: LDAP compares names without regard to it. */
  readonly name: string;
  readonly since: number;
  readonly leftAt: number | null;
}

export interface NamePlan {
  /** Owner → name that is served. Owners that are not in it are withheld. */
  readonly served: Map<string, string>;
  /** Records that are new or changed. */
  readonly changed: readonly NameRecord[];
  readonly lints: readonly Lint[];
}

interface Wish extends Owner {
  name: string;
  /** Decides between two newcomers. */
  number: number;
  subjectText: string;
}

/**
 * Who is served under which name. Users and groups share one name space, because a user's private group has the user's
 * name. An owner keeps a name; one who left it may come back; others get it after the quarantine only. Local
 * files of hosts (sudoers.d, cron.allow, AllowUsers) go by name: a name must not change hands unnoticed.
 *
 * @param numberOf the uid of a user or gid of a group; undefined withholds.
 * @param granted names that an operator gave to a person, with their {@link ownerKey}.
 */
export function planNames(
  records: ReadonlyMap<string, NameRecord>,
  snapshot: DirectorySnapshot,
  settings: DirectorySettings['names'],
  numberOf: (of: Owner) => number | undefined,
  now: number,
  granted: ReadonlyMap<string, string> = new Map(),
): NamePlan {
  const lints: Lint[] = [];
  const wishes = new Map<string, Wish[]>();
  const advised = new Set<string>();
  /** What a person should be called instead, said once all wishes are known. */
  const instead = (owner: Owner, text: string): string => {
    const isTaken = (name: string) => {
      const record = records.get(name);
      // The name that somebody left is theirs to come back to.
      return (record !== undefined && ownerKey(record) !== ownerKey(owner)) || wishes.has(name) || advised.has(name);
    };
    const name = nameInstead(owner.owner, text, settings.reserved, isTaken);
    if (name !== null) advised.add(name);
    return name === null ? 'rename it' : `rename it to ${name}`;
  };
  /** For people whose names are addresses: to rename all of them is seldom what an operator wants. */
  const orCut = (owner: Owner, text: string): string =>
    owner.owner === 'user' && text.includes('@') && mapUserName(text, { ...settings, policy: 'localpart' }).ok
      ? ', or cut such names at “@” with IDENTREE_LDAP_USERNAME_POLICY=localpart'
      : '';
  const unnamed: { owner: Owner; code: LintCode; why: string; text: string; subjectText: string }[] = [];

  const wish = (owner: Owner, mapped: MappedName, text: string): void => {
    const subjectText = `${owner.owner} ${text}`;
    if (!mapped.ok) {
      const { code, why } = mapped;
      unnamed.push({ owner, code, why, text, subjectText });
      return;
    }
    const number = numberOf(owner);
    if (number === undefined) return;
    const key = mapped.name.toLowerCase();
    const list = wishes.get(key);
    const entry = { ...owner, name: mapped.name, number, subjectText };
    if (list) list.push(entry);
    else wishes.set(key, [entry]);
  };
  for (const user of snapshot.users) wish(userOwner(user), mapUserName(user.username, settings), user.username);
  for (const group of snapshot.groups) wish(groupOwner(group), mapGroupName(group.name, settings), group.name);
  for (const { owner, code, why, text, subjectText } of unnamed)
    lints.push({ code, subject: subjectText, detail: `${why}: ${instead(owner, text)}${orCut(owner, text)}` });

  const served = new Map<string, string>();
  const changed: NameRecord[] = [];
  const handedOn = new Set<string>();
  for (const [key, list] of wishes) {
    const record = records.get(key);
    // Users first: their private group must have their name. Then the oldest number.
    list.sort((a, b) => order(b.owner, a.owner) || a.number - b.number || order(ownerKey(a), ownerKey(b)));
    const incumbent = record && list.find((one) => ownerKey(one) === ownerKey(record));
    const favoured = list.find((one) => granted.get(key) === ownerKey(one));
    const quarantined =
      record !== undefined && !incumbent && !favoured && now - (record.leftAt ?? now) < settings.quarantineMs;
    const winner = incumbent ?? favoured ?? (quarantined ? undefined : list[0]!);
    for (const one of list) {
      if (one === winner) continue;
      const code: LintCode = quarantined
        ? 'name_requarantined'
        : winner?.owner === 'user' && one.owner === 'group'
          ? 'group_shadows_upg'
          : 'name_collision';
      const whose = code === 'group_shadows_upg' ? 'is the name of the private group of' : 'is the name of';
      const why = quarantined
        ? `${key} belonged to somebody else until recently: wait, release the name, or`
        : `${key} ${whose} ${winner?.subjectText}:`;
      const detail = `${why} ${instead(one, one.name)}`;
      lints.push({ code, subject: one.subjectText, detail, ...(quarantined ? { name: key } : {}) });
    }
    if (!winner) continue;
    served.set(ownerKey(winner), winner.name);
    if (record && incumbent) {
      if (record.leftAt !== null) changed.push({ ...record, leftAt: null });
    } else {
      const { owner, issuer, subject } = winner;
      changed.push({ owner, issuer, subject, name: key, since: now, leftAt: null });
      handedOn.add(key);
    }
  }
  for (const [key, record] of records) {
    if (handedOn.has(key)) continue;
    const still = wishes.get(key)?.some((one) => ownerKey(one) === ownerKey(record));
    if (record.leftAt === null && !still) changed.push({ ...record, leftAt: now });
  }
  return { served, changed, lints };
}
