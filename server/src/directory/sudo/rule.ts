import type { SudoSettings } from '../settings.ts';
import type { Lint } from '../source/lint.ts';
import { checkCommand } from './command.ts';
import { checkHost, hostPattern } from './host.ts';
import { checkOption } from './options.ts';

/** A sudo rule as it was written. Null: not said. */
export interface WrittenRule {
  readonly hosts: readonly string[] | null;
  readonly commands: readonly string[];
  readonly runAsUser: readonly string[] | null;
  readonly runAsGroup: readonly string[] | null;
  readonly options: readonly string[];
  readonly order: number | null;
  /** Milliseconds since the epoch. */
  readonly notBefore: number | null;
  readonly notAfter: number | null;
}

/** The same, checked: every value is one that may be served, in its canonical spelling. */
export interface CheckedRule {
  readonly hosts: readonly string[];
  readonly commands: readonly string[];
  readonly runAsUser: readonly string[];
  readonly runAsGroup: readonly string[];
  readonly options: readonly string[];
  readonly order: number | null;
  readonly notBefore: number | null;
  readonly notAfter: number | null;
}

const RUN_AS_USER = /^([A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|#[0-9]{1,10}|%[A-Za-z_][A-Za-z0-9_.-]{0,31})$/;
const RUN_AS_GROUP = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/;
export const MAX_ORDER = 2_147_483_647;

/**
 * Checks a rule. What cannot be served is left out and reported; where leaving it out would make the rule mean more than
 * was written, the whole rule is.
 *
 * @param subject for the reports: `group ops`, `rule web`.
 * @param hostNames enrolled hosts, to expand wildcards and to notice rules that reach none.
 * @returns null for a rule that is not served.
 */
export function checkRule(
  written: WrittenRule,
  subject: string,
  settings: SudoSettings,
  hostNames: readonly string[],
  lint: (lint: Lint) => void,
): CheckedRule | null {
  let broken = false;
  const reject = (value: string, problem: string, fatal = false): void => {
    lint({ code: 'sudo_value_rejected', subject, detail: `${shorten(value)}: ${problem}` });
    if (fatal || settings.strict) broken = true;
  };
  const drop = (detail: string): null => {
    lint({ code: 'sudo_rule_dropped', subject, detail });
    return null;
  };

  /** Whether an exception is of no host that there is: most often it is mistyped, and the rule reaches the one that was meant. */
  const isUnknown = ({ kind, value }: { kind: string; value: string }): boolean => {
    if (kind !== 'name' && kind !== 'wildcard') return false;
    const pattern = hostPattern(value);
    // sudo compares both the whole name and the first part of it.
    const isOf = (name: string) => pattern?.test(name) || pattern?.test(name.split('.', 1)[0]!);
    return hostNames.length > 0 && !hostNames.some(isOf);
  };

  const hosts: string[] = [];
  const deniedHosts: string[] = [];
  let positiveHosts = 0;
  for (const value of written.hosts ?? ['ALL']) {
    const host = checkHost(value);
    if (!host.ok || (host.kind === 'wildcard' && settings.hostWildcards === 'off')) {
      if (!host.negated) positiveHosts += 1;
      // Without its exception the rule would reach more hosts than was written.
      reject(value, host.ok ? 'wildcards are switched off here' : host.problem, host.negated);
    } else if (host.negated) {
      deniedHosts.push(`!${host.value}`);
      if (isUnknown(host)) {
        const detail = `!${shorten(host.value)} names no enrolled host, so that nothing is excepted`;
        lint({ code: 'sudo_host_unmatched', subject, detail });
      }
    } else {
      positiveHosts += 1;
      if (host.kind !== 'wildcard' || settings.hostWildcards === 'raw') hosts.push(host.value);
      else {
        const pattern = hostPattern(host.value)!;
        const found = hostNames.filter((name) => pattern.test(name));
        if (found.length === 0)
          lint({ code: 'sudo_host_unmatched', subject, detail: `${shorten(value)} matches no enrolled host` });
        hosts.push(...found);
      }
    }
  }
  // sssd asks for ALL and for its own names only: a list of exceptions alone would never be downloaded.
  if (positiveHosts === 0 && deniedHosts.length > 0) hosts.push('ALL');
  if (hosts.length === 0) return drop('no host is left');

  const commands: string[] = [];
  for (const value of written.commands) {
    const checked = checkCommand(value, settings);
    if (!checked.ok) reject(value, checked.problem, value.trimStart().startsWith('!'));
    else {
      commands.push(checked.command.text);
      for (const code of checked.warnings) lint({ code, subject, detail: shorten(value) });
    }
  }
  if (!commands.some((command) => !command.startsWith('!'))) return drop('no command is left');

  const names = (values: readonly string[] | null, pattern: RegExp, what: string): string[] | null => {
    if (values === null) return [];
    const kept = values.filter((value) => {
      // sudoers reads a word in capitals as an alias or a tag, so what it means would depend on who reads the rule.
      const good =
        value === 'ALL' || (pattern.test(value) && !/^[A-Z][A-Z0-9_]*$/.test(value) && !/^all$/i.test(value));
      if (!good) reject(value, `not a ${what}`, value.startsWith('!'));
      return good;
    });
    return kept.length > 0 ? kept : null;
  };
  const runAsUser = names(written.runAsUser, RUN_AS_USER, 'user to run as');
  if (runAsUser === null) return drop('no user to run as is left');
  const runAsGroup = names(written.runAsGroup, RUN_AS_GROUP, 'group to run as');
  if (runAsGroup === null) return drop('no group to run as is left');

  const options = new Set<string>();
  for (const value of written.options) {
    const checked = checkOption(value, settings);
    if (!checked.ok) reject(value, checked.problem, checked.confines);
    else for (const option of checked.options) options.add(option);
  }
  if (settings.noAuthenticate === 'true') options.add('!authenticate');
  if (options.has('!authenticate')) {
    lint({ code: 'sudo_unauthenticated', subject, detail: 'commands of this rule run without approval' });
  }

  const { order, notBefore, notAfter } = written;
  if (notBefore !== null && notAfter !== null && notAfter <= notBefore) return drop('it ends before it begins');
  const goodOrder = order === null || (Number.isInteger(order) && order >= 0 && order <= MAX_ORDER);
  if (!goodOrder) reject(String(order), 'not an order');
  if (broken) return drop('a value was refused that the rule depends on');
  return {
    hosts: unique([...hosts, ...deniedHosts]),
    commands: unique(commands),
    // Only a group to run as: the person stays who they are.
    runAsUser: runAsUser.length > 0 || runAsGroup.length > 0 ? unique(runAsUser) : ['root'],
    runAsGroup: unique(runAsGroup),
    options: [...options],
    order: goodOrder ? order : null,
    notBefore,
    notAfter,
  };
}

const unique = (values: readonly string[]): string[] => [...new Set(values)];

function shorten(text: string): string {
  const shown = text.replace(/[^\x20-\x7e]/g, '?');
  return shown.length > 80 ? `${shown.slice(0, 80)}…` : shown;
}

/** GeneralizedTime in UTC, to the second. */
export function generalizedTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
}

/** Reads RFC 3339 or GeneralizedTime; null when it is neither. */
export function parseTime(text: string): number | null {
  const compact = /^([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})?(?:\.[0-9]+)?Z$/.exec(text.trim());
  const iso = compact
    ? `${compact[1]}-${compact[2]}-${compact[3]}T${compact[4]}:${compact[5]}:${compact[6] ?? '00'}Z`
    : text.trim();
  const match =
    /^([0-9]{4})-([0-9]{2})-([0-9]{2})T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$/.exec(iso);
  if (!match) return null;
  // Date accepts 31 February and makes it March.
  const day = new Date(`${match[1]}-${match[2]}-${match[3]}T00:00:00Z`);
  if (Number.isNaN(day.getTime()) || day.getUTCDate() !== Number(match[3])) return null;
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? null : ms;
}
