import { nearest } from '#shared/nearest.ts';
import type { Lint } from '../source/lint.ts';
import { claimOf, type DirectoryGroup, isSudoKey } from '../source/model.ts';
import { splitValues } from '../source/value-list.ts';
import { parseTime, type WrittenRule } from './rule.ts';

/** Claims of a group that decide what its members may do as other accounts. */
const SUDO_CLAIMS: readonly string[] = [
  'sudoCommands',
  'sudoHosts',
  'sudoRunAsUser',
  'sudoRunAsGroup',
  'sudoOptions',
  'sudoOrder',
  'sudoNotBefore',
  'sudoNotAfter',
];

/** Whether a group has, or tries to have, a sudo rule. */
export function hasSudoClaims(group: DirectoryGroup): boolean {
  return claimOf(group, 'sudoCommands') !== undefined;
}

/**
 * The rule that a group's claims write down.
 *
 * @returns null when there is none, or when a claim cannot be read whole.
 */
export function ruleFromClaims(group: DirectoryGroup, subject: string, lint: (lint: Lint) => void): WrittenRule | null {
  let broken = false;
  const drop = (detail: string): void => {
    broken = true;
    lint({ code: 'sudo_rule_dropped', subject, detail });
  };
  // It could be what narrows the rule.
  for (const { key } of group.customClaims) {
    if (!isSudoKey(key) || SUDO_CLAIMS.includes(key)) continue;
    const meant = nearest(key, SUDO_CLAIMS);
    drop(`there is no claim “${key}”${meant === null ? '' : `: is ${meant} meant?`}`);
  }
  if (!hasSudoClaims(group)) return null;
  // A claim that is there but says nothing must not turn into the default, which allows more.
  const list = (key: string): string[] | null => {
    const claim = claimOf(group, key);
    if (claim === undefined) return null;
    const values = splitValues(claim);
    if (values === null || (values.length === 0 && key !== 'sudoOptions')) {
      drop(values === null ? `${key} cannot be read` : `${key} is empty`);
      return [];
    }
    return values;
  };
  const time = (key: string): number | null => {
    const claim = claimOf(group, key);
    if (claim === undefined) return null;
    const parsed = parseTime(claim);
    if (parsed === null) drop(`${key} is not a date and time`);
    return parsed;
  };
  const order = claimOf(group, 'sudoOrder')?.trim();
  const rule: WrittenRule = {
    hosts: list('sudoHosts'),
    commands: list('sudoCommands') ?? [],
    runAsUser: list('sudoRunAsUser'),
    runAsGroup: list('sudoRunAsGroup'),
    options: list('sudoOptions') ?? [],
    order: order === undefined ? null : /^[0-9]{1,12}$/.test(order) ? Number(order) : Number.NaN,
    notBefore: time('sudoNotBefore'),
    notAfter: time('sudoNotAfter'),
  };
  return broken ? null : rule;
}
