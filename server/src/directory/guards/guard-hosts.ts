import { groupOwner, userOwner } from '../numbers/ids.ts';
import type { ServedAs } from '../numbers/numbers.ts';
import { type DirectorySnapshot, identityKey, order } from '../source/model.ts';
import { ruleFromClaims } from '../sudo/from-claims.ts';
import { checkHost, hostPattern } from '../sudo/host.ts';
import type { WrittenRule } from '../sudo/rule.ts';
import { type Allowed, MAX_LISTED } from './held-change.ts';
import type { LocalPower, NamedRule } from './power.ts';

/** A host that the directory does not reach yet. */
export interface NewHost {
  readonly id: string;
  readonly hostname: string;
  readonly group: string | null;
  /** Patterns of rules do not mean it yet. */
  readonly isNew: boolean;
  /** It has yet to say what its files give: then both are asked about together. */
  readonly silent: boolean;
  /** Its files give power to names that the directory had when it reported. */
  readonly waits: boolean;
}

interface Reach {
  readonly rule: string;
  readonly pattern: string;
  readonly commands: readonly string[];
  readonly to: readonly string[];
}

/** The hosts of a rule, read once for all hosts that are looked at: there may be hundreds of each. */
interface Places {
  readonly all: boolean;
  readonly names: ReadonlySet<string>;
  /** What may mean a host that it does not name, in the order of the rule. */
  readonly wide: readonly { value: string; means: (host: NewHost) => boolean }[];
}

function placesOf(written: WrittenRule, settings: { expand: boolean; netgroups: boolean }): Places {
  const values = (written.hosts ?? ['ALL']).map(checkHost).flatMap((one) => (one.ok && !one.negated ? [one] : []));
  return {
    all: values.some(({ kind }) => kind === 'all'),
    names: new Set(values.flatMap(({ kind, value }) => (kind === 'name' ? [value] : []))),
    wide: values.flatMap(({ kind, value }) => {
      if (kind === 'wildcard' && settings.expand) {
        const pattern = hostPattern(value)!;
        return [{ value, means: ({ hostname }: NewHost) => pattern.test(hostname) }];
      }
      if (kind !== 'netgroup' || !settings.netgroups) return [];
      return [{ value, means: ({ group }: NewHost) => group === value.slice(1) }];
    }),
  };
}

/** The value by which a rule means a host that it does not name. Undefined: it names it, means all hosts, or not this one. */
const patternFor = ({ all, names, wide }: Places, host: NewHost): string | undefined =>
  all || names.has(host.hostname) ? undefined : wide.find(({ means }) => means(host))?.value;

/** Rules from claims of groups that have members, as hosts would see them. */
function claimedRules(snapshot: DirectorySnapshot, names: ServedAs): NamedRule[] {
  const live = new Set(
    snapshot.users
      .filter((user) => !user.disabled && names.nameOf(userOwner(user)) !== undefined)
      .map((user) => identityKey(user)),
  );
  return snapshot.groups.flatMap((group) => {
    const name = names.nameOf(groupOwner(group));
    const written = name === undefined ? null : ruleFromClaims(group, '', () => {});
    if (!written || !group.userIds.some((id) => live.has(identityKey({ issuer: group.issuer, id })))) return [];
    return [{ name: name!, sudoUsers: [`%${name}`], written }];
  });
}

/**
 * Whom a host that is new to the directory would give power unseen: patterns of rules were written when it was not there, and
 * its image may give power to names that the directory has had for long.
 *
 * @param input.localOf what a host's files give to users and groups, by name or number
 * @returns ids of hosts that patterns do not mean yet and that are not served while they wait, and of those for which
 * nothing stands in the way any more.
 */
export function guardHosts(input: {
  hosts: readonly NewHost[];
  snapshot: DirectorySnapshot;
  names: () => ServedAs;
  /** Rules of the database, as they are served. */
  stored: readonly NamedRule[];
  claimsGivePower: boolean;
  localOf: (host: NewHost) => readonly LocalPower[];
  settings: { expand: boolean; netgroups: boolean };
  allowed: Allowed;
}): { apart: ReadonlySet<string>; admitted: readonly string[] } {
  const apart = new Set<string>();
  const admitted: string[] = [];
  for (const { id, silent } of input.hosts) if (silent) apart.add(id);
  const fresh = input.hosts.filter(({ isNew, silent, waits }) => !silent && (isNew || waits));
  if (fresh.length === 0) return { apart, admitted };
  const names = input.names();
  const rules = [...(input.claimsGivePower ? claimedRules(input.snapshot, names) : []), ...input.stored].map(
    (rule) => ({
      ...rule,
      places: placesOf(rule.written, input.settings),
    }),
  );
  const had = fresh.some(({ waits }) => waits) ? namesHad(input.snapshot, names) : null;
  for (const host of fresh) {
    const reached = rules.flatMap(({ name, sudoUsers, written, places }): Reach[] => {
      const pattern = host.isNew ? patternFor(places, host) : undefined;
      return pattern === undefined ? [] : [{ rule: name, pattern, commands: written.commands, to: sudoUsers }];
    });
    const local = had !== null && host.waits ? localPowerMet(input.localOf(host), had) : [];
    if (reached.length + local.length > 0) {
      const shownRules = reached.slice(0, MAX_LISTED).map((one) => ({
        ...one,
        commands: one.commands.slice(0, MAX_LISTED),
        to: one.to.slice(0, MAX_LISTED),
      }));
      const shownLocal = local
        .slice(0, MAX_LISTED)
        .map(({ type, name, gives, file, line }) => ({ host: host.hostname, type, name, gives, file, line }));
      const proof = {
        host: host.id,
        rules: reached.map((one) => JSON.stringify(one)).sort(order),
        local: local.map(({ type, name, gives, file }) => JSON.stringify([type, name, gives, file])).sort(order),
      };
      const detail = { host: host.hostname, rules: shownRules, local: shownLocal };
      if (!input.allowed({ kind: 'new_host', detail }, `host ${host.hostname}`, proof)) {
        apart.add(host.id);
        continue;
      }
    }
    admitted.push(host.id);
  }
  return { apart, admitted };
}

type NamesHad = Readonly<Record<LocalPower['type'], ReadonlySet<string>>>;

/** Names and numbers that somebody is served under, or would have by a group. */
function namesHad(snapshot: DirectorySnapshot, names: ServedAs): NamesHad {
  const had = { user: new Set<string>(), group: new Set<string>(), uid: new Set<string>(), gid: new Set<string>() };
  const add = (to: Set<string>, value: string | number | undefined) => value !== undefined && to.add(String(value));
  const live = new Set<string>();
  for (const user of snapshot.users) {
    const owner = userOwner(user);
    const name = names.nameOf(owner)?.toLowerCase();
    if (name === undefined || user.disabled) continue;
    live.add(identityKey(user));
    add(had.user, name);
    add(had.group, name);
    add(had.uid, names.uidOf(owner));
    add(had.gid, names.gidOf(owner));
  }
  for (const group of snapshot.groups) {
    const owner = groupOwner(group);
    const name = names.nameOf(owner)?.toLowerCase();
    if (name === undefined || !group.userIds.some((id) => live.has(identityKey({ issuer: group.issuer, id }))))
      continue;
    add(had.group, name);
    add(had.gid, names.gidOf(owner));
  }
  return had;
}

/** What of a host's files is about one of them. */
function localPowerMet(power: readonly LocalPower[], had: NamesHad): readonly LocalPower[] {
  // Files may write a number with any zeros in front of it.
  const plain = (name: string) => name.toLowerCase().replace(/^0+(?=[0-9]+$)/, '');
  return power.filter(({ type, name }) =>
    had[type].has(type === 'uid' || type === 'gid' ? plain(name) : name.toLowerCase()),
  );
}
