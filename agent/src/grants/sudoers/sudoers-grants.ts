import { type Grant, isRoot, unread, type Who } from '../grant.ts';
import { effective, listWords, whoOf } from './members.ts';
import type { AliasKind, Entry, Member, Privilege } from './parse.ts';
import type { Placed } from './read-sudoers.ts';

type Defaults = Extract<Entry, { kind: 'defaults' }>;
type Rule = Extract<Entry, { kind: 'rule' }>;

/** Aliases in aliases multiply; no list that people wrote comes near this. */
const MAX_MEMBERS = 2000;
class TooMany extends Error {}

/**
 * What sudoers gives, rule by rule: which of two rules for the same command sudo would go by is left to `sudo -l`, so
 * that no rule is hidden behind another one.
 *
 * @param placed in the order in which sudo reads them.
 */
export function sudoersGrants(placed: readonly Placed[]): Grant[] {
  const grants: Grant[] = [];
  const fail = (file: string, line: number, reason: string) =>
    grants.push(unread('sudoers', { file, line }, reason, 'What it gives, sudo -l -U USER shows.'));

  const aliases = new Map<string, Member[]>();
  for (const { file, entry } of placed) {
    if (entry.kind === 'unread') fail(file, entry.line, entry.reason);
    if (entry.kind !== 'alias') continue;
    const name = `${entry.of} ${entry.name}`;
    if (aliases.has(name)) fail(file, entry.line, `${entry.name} is defined already, and sudo leaves this one out`);
    else aliases.set(name, entry.members);
  }

  /** Each name of a list that is an alias, with the names that it stands for. */
  function expand(
    of: AliasKind,
    list: readonly Member[],
    within: readonly string[] = [],
    budget = { left: MAX_MEMBERS },
  ): Member[] {
    return list.flatMap((member) => {
      if (--budget.left < 0) throw new TooMany('its aliases stand for too many names');
      const known = aliases.get(`${of} ${member.text}`);
      if (member.type !== 'alias') return [member];
      if (known !== undefined && !within.includes(member.text)) {
        const inner = expand(of, known, [...within, member.text], budget);
        return member.negated ? inner.map((one) => ({ ...one, negated: !one.negated })) : inner;
      }
      // An alias that nothing defines sudo takes for a name, but for no command.
      return of === 'Cmnd' ? [] : [{ ...member, type: 'word' as const }];
    });
  }

  const defaults = placed.filter((one): one is { file: string; entry: Defaults } => one.entry.kind === 'defaults');
  const last = (entry: Defaults, name: string) => entry.settings.findLast((setting) => setting.name === name);
  const everywhere = defaults.flatMap(({ entry }) => (entry.scope === 'all' ? entry.settings : []));
  const asks = !(everywhere.findLast(({ name }) => name === 'authenticate')?.negated ?? false);
  const runAsDefault = everywhere.findLast(({ name }) => name === 'runas_default')?.value ?? 'root';
  /** Whom a `Defaults:USER !authenticate` names, by type and name. */
  const unasked = new Set<string>();
  const ALL: Who = { type: 'everyone', name: '' };
  const say = ({ type, name }: Who) => `${type} ${name}`;

  function give(
    at: { file: string; line: number },
    users: readonly Member[],
    gives: string,
    asked: (who: Who) => boolean,
  ) {
    for (const { member, except } of effective(users)) {
      const who = whoOf(member);
      if (isRoot(who)) continue;
      // One name takes nothing away from another one; a group that is taken out may hold the name.
      const others = except.map(whoOf).filter(({ type }) => type !== who.type || !['user', 'uid'].includes(type));
      grants.push({ kind: 'sudoers', who, except: others, gives, withoutPassword: !asked(who), ...at });
    }
  }

  const EVERYONE: Member[] = [{ type: 'all', text: 'ALL', negated: false }];
  const ALLOWED = 'what sudo rules allow them';
  const never = () => false;
  function fromDefaults(file: string, entry: Defaults): void {
    const at = { file, line: entry.line };
    const group = last(entry, 'exempt_group')?.value ?? null;
    if (group !== null) give(at, [{ type: 'group', text: `%${group}`, negated: false }], ALLOWED, never);
    if (last(entry, 'authenticate')?.negated !== true) return;
    if (entry.scope === 'users') {
      const users = expand('User', entry.members);
      for (const { member } of effective(users)) unasked.add(say(whoOf(member)));
      give(at, users, ALLOWED, never);
    } else if (entry.scope === 'hosts') {
      const hosts = listWords(expand('Host', entry.members), 'any host');
      if (hosts !== null) give(at, EVERYONE, `${ALLOWED}, on ${hosts}`, never);
    } else if (entry.scope === 'run as') {
      const users = listWords(expand('Runas', entry.members), 'any user');
      if (users !== null) give(at, EVERYONE, `${ALLOWED}, as ${users}`, never);
    } else if (entry.scope === 'commands') {
      const commands = listWords(expand('Cmnd', entry.members), 'any command');
      if (commands !== null) give(at, EVERYONE, `${commands}, where sudo rules allow it`, never);
    } else if (!asks) give(at, EVERYONE, ALLOWED, never);
  }

  function runAsWords(users: readonly Member[] | null, groups: readonly Member[] | null): string | null {
    if (users === null) return `as ${runAsDefault}`;
    const group = groups === null || groups.length === 0 ? null : listWords(expand('Runas', groups), 'any group');
    if (users.length === 0) return group === null ? 'as themselves' : `as themselves with group ${group}`;
    const user = listWords(expand('Runas', users), 'any user');
    if (user !== null) return `as ${user}`;
    return group === null ? null : `as themselves with group ${group}`;
  }

  function fromPrivilege(file: string, { line, users }: Rule, { hosts, commands }: Privilege): void {
    const where = listWords(expand('Host', hosts), '');
    if (where === null) return;
    const expandedUsers = expand('User', users);
    /** Commands that are run as the same and asked for in the same way are one grant. */
    const parts = new Map<string, { as: string; authenticate: boolean | null; list: Member[] }>();
    for (const { runUsers, runGroups, authenticate, command } of commands) {
      const as = runAsWords(runUsers, runGroups);
      if (as === null) continue;
      const id = `${as} ${authenticate}`;
      const part = parts.get(id) ?? { as, authenticate, list: [] };
      part.list.push(...expand('Cmnd', [command]));
      parts.set(id, part);
    }
    for (const { as, authenticate, list } of parts.values()) {
      const what = listWords(list, 'any command');
      if (what === null) continue;
      const gives = `${what} ${as}${where === '' ? '' : ` on ${where}`}`;
      const asked = (who: Who) => authenticate ?? (asks && !unasked.has(say(who)) && !unasked.has(say(ALL)));
      give({ file, line }, expandedUsers, gives, asked);
    }
  }

  function reportTooMany(file: string, line: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof TooMany)) throw error;
      fail(file, line, error.message);
    }
  }
  for (const { file, entry } of defaults) reportTooMany(file, entry.line, () => fromDefaults(file, entry));
  for (const { file, entry } of placed)
    if (entry.kind === 'rule')
      reportTooMany(file, entry.line, () => {
        for (const privilege of entry.privileges) fromPrivilege(file, entry, privilege);
      });
  return grants;
}
