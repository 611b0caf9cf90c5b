import ipaddr from 'ipaddr.js';
import type { ServedRule } from '../tree/model.ts';
import { globMatches } from './glob-match.ts';

export interface Simulation {
  readonly user: { readonly name: string; readonly groups: readonly string[]; readonly netgroups: readonly string[] };
  readonly host: {
    /** Short name, full name, aliases. */
    readonly names: readonly string[];
    /** `10.1.2.3/24`: address and the length of its network. */
    readonly addresses: readonly string[];
    readonly netgroups: readonly string[];
  };
  /** Absolute path and arguments. */
  readonly command: string;
  readonly runAsUser: string;
  readonly runAsGroup: string | null;
}

export interface SimulationResult {
  readonly verdict: 'allowed' | 'denied' | 'no_rule';
  /** The rule that decides. */
  readonly rule: string | null;
  readonly options: readonly string[];
  /** Whether sudo asks, and so the approval happens, where the gate is the PAM stage. The plugin always asks. */
  readonly asksForApproval: boolean;
  /** Every rule that is about this person, in the order in which sudo looks. */
  readonly considered: readonly {
    readonly rule: string;
    readonly order: number;
    readonly outcome: 'decides' | 'other_host' | 'other_run_as' | 'other_command' | 'overruled';
    /** False: sssd on this host would never download it, whatever it says. */
    readonly delivered: boolean;
    /** The command has to have the digest that the rule names. */
    readonly needsDigest: boolean;
  }[];
}

/** What sudo would do, by the rules of sudoers.ldap(5): highest order first, exceptions within a rule win. */
export function simulate(rules: readonly ServedRule[], defaults: readonly string[], ask: Simulation): SimulationResult {
  const mine = rules
    .filter((rule) => rule.sudoUsers.some((user) => isUser(user, ask.user)))
    .toSorted((a, b) => (b.order ?? 0) - (a.order ?? 0));
  const considered: SimulationResult['considered'][number][] = [];
  let decided: { rule: ServedRule; allowed: boolean } | null = null;
  for (const rule of mine) {
    const command = commandMatch(rule.commands, ask.command);
    const outcome = decided
      ? 'overruled'
      : !listMatches(rule.hosts, (host) => isHost(host, ask.host))
        ? 'other_host'
        : !runAsMatches(rule, ask)
          ? 'other_run_as'
          : command === null
            ? 'other_command'
            : 'decides';
    if (outcome === 'decides') decided = { rule, allowed: command!.allowed };
    considered.push({
      rule: rule.cn,
      order: rule.order ?? 0,
      outcome,
      delivered: rule.hosts.some((host) => isAskedFor(host, ask.host)),
      needsDigest: command?.digest ?? false,
    });
  }
  const options = decided ? mergeOptions(defaults, decided.rule.options) : [];
  return {
    verdict: decided ? (decided.allowed ? 'allowed' : 'denied') : 'no_rule',
    rule: decided?.rule.cn ?? null,
    options,
    asksForApproval: !options.includes('!authenticate'),
    considered,
  };
}

/** Later options replace earlier ones of the same name; `+=` adds. */
function mergeOptions(defaults: readonly string[], own: readonly string[]): string[] {
  const nameOf = (option: string) => option.replace(/^!/, '').replace(/[+-]?=.*$/, '');
  const names = new Set(own.filter((option) => !option.includes('+=')).map(nameOf));
  return [...defaults.filter((option) => !names.has(nameOf(option))), ...own];
}

function isUser(pattern: string, user: Simulation['user']): boolean {
  if (pattern.startsWith('%')) return user.groups.includes(pattern.slice(1));
  if (pattern.startsWith('+')) return user.netgroups.includes(pattern.slice(1));
  return pattern === user.name;
}

/** A list with exceptions: something matches, and no exception does. */
function listMatches(list: readonly string[], matches: (item: string) => boolean): boolean {
  return (
    list.some((item) => !item.startsWith('!') && matches(item)) &&
    !list.some((item) => item.startsWith('!') && matches(item.slice(1)))
  );
}

function isHost(pattern: string, host: Simulation['host']): boolean {
  if (pattern === 'ALL') return true;
  if (pattern.startsWith('+')) return host.netgroups.includes(pattern.slice(1));
  const folded = pattern.toLowerCase();
  if (host.names.some((name) => globMatches(folded, name.toLowerCase(), false))) return true;
  return host.addresses.some((address) => isInNetwork(address.replace(/\/.*$/, ''), pattern));
}

function isInNetwork(address: string, network: string): boolean {
  const [base = '', mask] = network.split('/');
  if (!ipaddr.isValid(address) || !ipaddr.isValid(base)) return false;
  const [own, other] = [ipaddr.parse(address), ipaddr.parse(base)];
  if (own.kind() !== other.kind()) return false;
  const full = own.kind() === 'ipv4' ? 32 : 128;
  const length =
    mask === undefined
      ? full
      : /^[0-9]+$/.test(mask)
        ? Number(mask)
        : ipaddr.isValid(mask)
          ? ipaddr.parse(mask).prefixLengthFromSubnetMask()
          : null;
  return length !== null && own.match(other, length);
}

/** Whether sssd asks for this value of sudoHost: it names itself, its addresses and its own networks, nothing wider. */
function isAskedFor(value: string, host: Simulation['host']): boolean {
  if (value.startsWith('!')) return false;
  if (value === 'ALL' || value.startsWith('+')) return true;
  if (host.names.some((name) => name.toLowerCase() === value.toLowerCase())) return true;
  return host.addresses.some((address) => {
    const [own = '', length] = address.split('/');
    if (own === value) return true;
    if (length === undefined || !ipaddr.isValid(own) || !/^[0-9]+$/.test(length)) return false;
    const parsed = ipaddr.parse(own);
    if (Number(length) > (parsed.kind() === 'ipv4' ? 32 : 128)) return false;
    const network =
      parsed.kind() === 'ipv4'
        ? ipaddr.IPv4.networkAddressFromCIDR(address)
        : ipaddr.IPv6.networkAddressFromCIDR(address);
    return `${network.toString()}/${length}` === value;
  });
}

function runAsMatches(rule: ServedRule, ask: Simulation): boolean {
  const users = rule.runAsUser;
  const asked = ask.runAsUser;
  // A rule with only a group to run as leaves the person who they are.
  const user =
    users.length === 0
      ? asked === ask.user.name
      : users.includes('ALL') || users.includes(asked) || (asked === 'root' && users.includes('#0'));
  if (!user) return false;
  return ask.runAsGroup === null || rule.runAsGroup.includes('ALL') || rule.runAsGroup.includes(ask.runAsGroup);
}

function commandMatch(commands: readonly string[], asked: string): { allowed: boolean; digest: boolean } | null {
  const [path = '', ...rest] = asked.trim().split(/\s+/);
  const args = rest.join(' ');
  let matched = false;
  let onlyWithDigest = true;
  for (const text of commands) {
    const negated = text.startsWith('!');
    const bare = negated ? text.slice(1) : text;
    const digest = /^sha[0-9]+:\S+ /.exec(bare)?.[0] ?? '';
    if (!isCommand(bare.slice(digest.length), path, args)) continue;
    if (negated) return { allowed: false, digest: false };
    matched = true;
    if (digest === '') onlyWithDigest = false;
  }
  return matched ? { allowed: true, digest: onlyWithDigest } : null;
}

function isCommand(pattern: string, path: string, args: string): boolean {
  if (pattern === 'ALL') return true;
  const blank = pattern.indexOf(' ');
  const wantedPath = blank < 0 ? pattern : pattern.slice(0, blank);
  const wantedArgs = blank < 0 ? null : pattern.slice(blank + 1);
  // A folder means the commands directly in it.
  const samePath = wantedPath.endsWith('/')
    ? path.startsWith(wantedPath) && !path.slice(wantedPath.length).includes('/') && path.length > wantedPath.length
    : globMatches(wantedPath, path, true);
  if (!samePath) return false;
  if (wantedArgs === null) return true;
  return wantedArgs === '""' ? args === '' : globMatches(wantedArgs, args, false);
}
