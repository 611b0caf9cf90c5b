import { canonicalSha256 } from '#shared/digest.ts';
import { groupOwner, userOwner } from '../numbers/ids.ts';
import type { ServedAs } from '../numbers/numbers.ts';
import {
  type DirectoryGroup,
  type DirectorySnapshot,
  type DirectoryUser,
  identityKey,
  isSudoKey,
} from '../source/model.ts';
import { hasSudoClaims, ruleFromClaims } from '../sudo/from-claims.ts';
import type { WrittenRule } from '../sudo/rule.ts';

/** Power that a host gives by files of its own to whoever has a name or a number. */
export interface LocalPower {
  readonly host: string;
  readonly type: 'user' | 'group' | 'uid' | 'gid';
  /** A name as the file has it, or a number in decimal. */
  readonly name: string;
  /** What it gives, in words. */
  readonly gives: string;
  readonly file: string;
  readonly line: number | null;
}

/** A rule of the database. */
export interface NamedRule {
  readonly name: string;
  /** Values of `sudoUser`: `%group`, `user`, `+netgroup`. */
  readonly sudoUsers: readonly string[];
  readonly written: WrittenRule;
}

/** One command, as one account, at one value of `sudoHost`. `terms` is all else that the rule says of it. */
interface Part {
  readonly host: string;
  readonly target: string;
  readonly command: string;
  readonly terms: string;
}

/** One way to power. Who has it twice has it once. */
export interface PowerSource {
  /** Equal ids, equal power. */
  readonly id: string;
  /** What it says, to be taken apart; null: it is compared as a whole. */
  readonly written: WrittenRule | null;
  /** The rule of the database; null: claims of a group, or files of hosts. */
  readonly rule: string | null;
  /** The rule runs its commands as whoever has this: what grows is the power of those whom it is for. */
  readonly asTarget?: true;
  readonly local: readonly LocalPower[];
}

/** Names and numbers that give power to whoever has them. Names are folded, as sudo compares them. */
export interface PowerIndex {
  readonly users: ReadonlyMap<string, readonly PowerSource[]>;
  readonly groups: ReadonlyMap<string, readonly PowerSource[]>;
  readonly uids: ReadonlyMap<number, readonly PowerSource[]>;
  readonly gids: ReadonlyMap<number, readonly PowerSource[]>;
  /** A netgroup of hosts has no users in its triples, and sudo takes that for all of them. */
  readonly everybody: readonly PowerSource[];
  /** Rules that run commands as any member of a group, by its folded name. */
  readonly runAs: ReadonlyMap<string, readonly PowerSource[]>;
}

/** sudo compares names without regard to case (`case_insensitive_user`, `case_insensitive_group`). */
const fold = (name: string): string => name.toLowerCase();

/** Files may write a number with any zeros in front of it. */
const isNumber = (name: string): boolean => /^[0-9]+$/.test(name);

/** More than an operator writes. Three lists of a claim multiply, and whoever edits a group at the source writes all three. */
const MAX_PARTS = 2000;
/** The same for all rules of one person. */
const MAX_PARTS_HAD = 20_000;

/**
 * @returns null for a rule with exceptions, of which everything depends on all of it, and for one of too many parts: it is
 * asked about, also when it allows nothing new
 */
function partsOf(rule: WrittenRule): Part[] | null {
  const { hosts, commands, runAsUser, runAsGroup, options, notBefore, notAfter } = rule;
  const places = hosts ?? ['ALL'];
  const targets = runAsUser ?? (runAsGroup === null ? ['root'] : ['']);
  if (places.length * targets.length * commands.length > MAX_PARTS) return null;
  if ([...places, ...commands, ...targets].some((value) => value.trimStart().startsWith('!'))) return null;
  const terms = canonicalSha256([runAsGroup, options, notBefore, notAfter, orderIn(rule)]);
  return places.flatMap((host) =>
    targets.flatMap((target) => commands.map((command) => ({ host, target, command, terms }))),
  );
}

const textOf = ({ host, target, command, terms }: Part): string => JSON.stringify([host, target, command, terms]);

/** Which of two rules decides can only be seen by their options: without any, two that allow the same are the same. */
const orderIn = ({ options, order }: WrittenRule): number | null =>
  options.length === 0 || Number.isNaN(order) ? null : order;

/** The power that a rule gives. */
function sourceOf(written: WrittenRule, rule: string | null): PowerSource {
  return {
    id: `rule ${canonicalSha256({ ...written, order: orderIn(written) })}`,
    written,
    rule,
    local: [],
  };
}

/** Adds to `to` what a rule makes of the groups that it runs commands as. */
function addTargets(
  to: Map<string, PowerSource[]>,
  { runAsUser }: WrittenRule,
  { id }: PowerSource,
  rule: string,
): void {
  for (const target of runAsUser ?? []) {
    if (!target.startsWith('%')) continue;
    const name = fold(target.slice(1));
    const source: PowerSource = { id: `as a target of ${id}`, written: null, rule, asTarget: true, local: [] };
    to.set(name, [...(to.get(name) ?? []), source]);
  }
}

/**
 * The same with what gives power over members: who joins a group that a rule runs commands as is one more whom those may
 * become whom the rule is for.
 *
 * @param groups whose claims are rules
 * @param isHeld whether anybody has a rule, by its id
 */
export function withTargets(
  index: PowerIndex,
  groups: readonly DirectoryGroup[],
  isHeld: (id: string) => boolean,
): PowerIndex {
  const targets = new Map([...index.runAs].map(([name, sources]) => [name, [...sources]]));
  for (const group of groups) {
    const source = sourceOfClaims(group);
    if (source !== null) addTargets(targets, ruleFromClaims(group, '', () => {})!, source, group.name);
  }
  const merged = new Map(index.groups);
  let any = false;
  for (const [name, sources] of targets) {
    const held = sources.filter(({ id }) => isHeld(id.slice('as a target of '.length)));
    if (held.length === 0) continue;
    any = true;
    const once = new Map(held.map((source) => [`${source.id} ${source.rule}`, source]));
    merged.set(name, [...(merged.get(name) ?? []), ...once.values()]);
  }
  return any ? { ...index, groups: merged } : index;
}

/** Power that somebody has. */
export type Power = Map<string, PowerSource>;

/** Adds to what somebody has. */
export function givePower(to: Map<string, Power>, key: string, sources: readonly PowerSource[]): void {
  if (sources.length === 0) return;
  const power: Power = to.get(key) ?? new Map();
  to.set(key, power);
  for (const source of sources) power.set(source.id, source);
}

/** Whether somebody could do all of it already. */
export function isCovered(by: Power | undefined, source: PowerSource): boolean {
  if (by === undefined) return false;
  if (by.has(source.id)) return true;
  const parts = source.written && partsOf(source.written);
  if (parts === null) return false;
  // Only of somebody who gains something is everything that they have taken apart.
  const had = new Set<string>();
  for (const { written } of by.values()) {
    for (const part of (written && partsOf(written)) ?? []) had.add(textOf(part));
    if (had.size > MAX_PARTS_HAD) return false;
  }
  return parts.every((part) =>
    [part.host, 'ALL'].some((host) =>
      [part.target, 'ALL'].some((target) =>
        [part.command, 'ALL'].some((command) => had.has(textOf({ ...part, host, target, command }))),
      ),
    ),
  );
}

/**
 * What gives power by name: rules of the database and files of hosts.
 *
 * @param rules as they are served; none where rules of the database are not
 * @param netgroups names that are served as netgroups of hosts
 */
export function powerIndex(
  rules: readonly NamedRule[],
  netgroups: ReadonlySet<string>,
  locals: readonly LocalPower[],
): PowerIndex {
  const [users, groups] = [new Map<string, PowerSource[]>(), new Map<string, PowerSource[]>()];
  const [uids, gids] = [new Map<number, PowerSource[]>(), new Map<number, PowerSource[]>()];
  const everybody: PowerSource[] = [];
  const runAs = new Map<string, PowerSource[]>();
  const add = <K>(to: Map<K, PowerSource[]>, key: K, source: PowerSource): void => {
    const list = to.get(key);
    if (list) list.push(source);
    else to.set(key, [source]);
  };
  for (const rule of rules) {
    const source = sourceOf(rule.written, rule.name);
    addTargets(runAs, rule.written, source, rule.name);
    for (const user of rule.sudoUsers) {
      if (user.startsWith('%')) add(groups, fold(user.slice(1)), source);
      else if (!user.startsWith('+')) add(users, fold(user), source);
      else if (netgroups.has(user.slice(1))) everybody.push(source);
    }
  }
  // One source for all hosts that name it: what they give is the same before and after a change of the directory.
  const byName = Map.groupBy(locals, ({ type, name }) =>
    (type === 'uid' || type === 'gid') && isNumber(name) ? `${type} ${Number(name)}` : `${type} ${fold(name)}`,
  );
  for (const [key, local] of byName) {
    const source: PowerSource = { id: `host ${key}`, written: null, rule: null, local };
    const { type, name } = local[0]!;
    if (type === 'user') add(users, fold(name), source);
    else if (type === 'group') add(groups, fold(name), source);
    else if (isNumber(name)) add(type === 'uid' ? uids : gids, Number(name), source);
  }
  return { users, groups, uids, gids, everybody, runAs };
}

/** The part of it that hosts give. */
export const localPart = (index: PowerIndex): PowerIndex => ({
  ...mapSources(index, (source) => (source.local.length > 0 ? source : null)),
  everybody: [],
  runAs: new Map(),
});

/** The part of it that these hosts give. */
export const partOf = (index: PowerIndex, hosts: ReadonlySet<string>): PowerIndex => ({
  ...mapSources(index, (source) => withLocal(source, ({ host }) => hosts.has(host))),
  everybody: [],
  runAs: new Map(),
});

/** All of it but what these hosts give. */
export const withoutHosts = (index: PowerIndex, hosts: ReadonlySet<string>): PowerIndex =>
  hosts.size === 0
    ? index
    : mapSources(index, (source) =>
        source.local.length === 0 ? source : withLocal(source, ({ host }) => !hosts.has(host)),
      );

function withLocal(source: PowerSource, isKept: (local: LocalPower) => boolean): PowerSource | null {
  const local = source.local.filter(isKept);
  return local.length === 0 ? null : { ...source, local };
}

function mapSources(index: PowerIndex, change: (source: PowerSource) => PowerSource | null): PowerIndex {
  const inMap = <K>(map: ReadonlyMap<K, readonly PowerSource[]>): ReadonlyMap<K, readonly PowerSource[]> =>
    new Map(
      [...map].flatMap(([key, sources]) => {
        const kept = sources.flatMap((source) => change(source) ?? []);
        return kept.length === 0 ? [] : [[key, kept] as const];
      }),
    );
  return {
    users: inMap(index.users),
    groups: inMap(index.groups),
    uids: inMap(index.uids),
    gids: inMap(index.gids),
    everybody: index.everybody,
    runAs: index.runAs,
  };
}

/** What a group's claims say about sudo, those with it that make the rule unreadable: without them it would be another one. */
export function sudoClaimsOf(group: DirectoryGroup): Record<string, string> {
  return Object.fromEntries(
    group.customClaims.filter(({ key }) => isSudoKey(key)).map(({ key, value }) => [key, value]),
  );
}

/** The power that claims of a group write down; null when there is none, or none that can be read. */
export function sourceOfClaims(group: DirectoryGroup): PowerSource | null {
  if (!hasSudoClaims(group)) return null;
  const known = claimed.get(group);
  if (known !== undefined) return known;
  const written = ruleFromClaims(group, '', () => {});
  const source = written && sourceOf(written, null);
  claimed.set(group, source);
  return source;
}

/** A round asks for the same groups many times, and a group never changes. */
const claimed = new WeakMap<DirectoryGroup, PowerSource | null>();

/** What members of a group have by it. @param claims whether rules come from claims */
export function sourcesOfGroup(
  group: DirectoryGroup,
  names: ServedAs,
  index: PowerIndex,
  claims: boolean,
): readonly PowerSource[] {
  const owner = groupOwner(group);
  const name = names.nameOf(owner);
  if (name === undefined) return [];
  const gid = index.gids.size === 0 ? undefined : names.gidOf(owner);
  const named = [...(index.groups.get(fold(name)) ?? []), ...((gid !== undefined && index.gids.get(gid)) || [])];
  const own = claims ? sourceOfClaims(group) : null;
  return own === null ? named : [own, ...named];
}

/** What somebody has by their own name, the private group of that name, and their numbers. */
export function sourcesOfUser(user: DirectoryUser, names: ServedAs, index: PowerIndex): readonly PowerSource[] {
  if (user.disabled) return [];
  const owner = userOwner(user);
  const name = names.nameOf(owner);
  if (name === undefined) return [];
  const uid = index.uids.size === 0 ? undefined : names.uidOf(owner);
  const gid = index.gids.size === 0 ? undefined : names.gidOf(owner);
  return [
    ...(index.users.get(fold(name)) ?? []),
    ...(index.groups.get(fold(name)) ?? []),
    ...((uid !== undefined && index.uids.get(uid)) || []),
    ...((gid !== undefined && index.gids.get(gid)) || []),
    ...index.everybody,
  ];
}

/** Who has which power: by identity key. Those without any are not in it. */
export function powerOf(
  snapshot: DirectorySnapshot,
  names: ServedAs,
  index: PowerIndex,
  claims: boolean,
): Map<string, Power> {
  const power = new Map<string, Power>();
  const served = new Set<string>();
  for (const user of snapshot.users) {
    if (user.disabled || names.nameOf(userOwner(user)) === undefined) continue;
    served.add(identityKey(user));
    givePower(power, identityKey(user), sourcesOfUser(user, names, index));
  }
  for (const group of snapshot.groups) {
    const sources = sourcesOfGroup(group, names, index, claims);
    if (sources.length === 0) continue;
    for (const id of group.userIds) {
      const key = identityKey({ issuer: group.issuer, id });
      if (served.has(key)) givePower(power, key, sources);
    }
  }
  return power;
}
