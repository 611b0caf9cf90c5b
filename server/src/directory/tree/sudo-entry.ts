import type { DirectorySettings } from '../settings.ts';
import type { Lint } from '../source/lint.ts';
import { checkOption } from '../sudo/options.ts';
import { generalizedTime } from '../sudo/rule.ts';
import { readable } from './account.ts';
import { escapeRdnValue } from './dn.ts';
import type { Attributes, BareEntry, ServedRule } from './model.ts';

/** A rule as sudo and sssd read it (sudoers.ldap(5)). */
export function sudoEntry(rule: ServedRule, parent: string, description: string, entryUUID: string): BareEntry {
  const attributes: Attributes = [
    ['cn', [rule.cn]],
    ['sudoUser', rule.sudoUsers],
    ['sudoHost', rule.hosts],
    ['sudoCommand', rule.commands],
  ];
  if (rule.runAsUser.length > 0) attributes.push(['sudoRunAsUser', rule.runAsUser]);
  if (rule.runAsGroup.length > 0) attributes.push(['sudoRunAsGroup', rule.runAsGroup]);
  if (rule.options.length > 0) attributes.push(['sudoOption', rule.options]);
  attributes.push(['sudoOrder', [String(rule.order)]]);
  if (rule.notBefore !== null) attributes.push(['sudoNotBefore', [generalizedTime(rule.notBefore)]]);
  if (rule.notAfter !== null) attributes.push(['sudoNotAfter', [generalizedTime(rule.notAfter)]]);
  const text = readable(description);
  if (text !== '') attributes.push(['description', [text]]);
  return { dn: `cn=${escapeRdnValue(rule.cn)},${parent}`, objectClass: ['top', 'sudoRole'], attributes, entryUUID };
}

/** Options that hold for every rule; null when there are none. */
export function defaultsEntry(
  settings: DirectorySettings,
  parent: string,
  entryUUID: string,
  lint: (lint: Lint) => void,
): BareEntry | null {
  const options = new Set<string>();
  for (const text of settings.sudo.defaults ?? []) {
    // Defaults hold for every rule: approval cannot be switched off here, whatever the mode.
    const checked = checkOption(text, { ...settings.sudo, noAuthenticate: 'false' });
    if (checked.ok) for (const option of checked.options) options.add(option);
    else lint({ code: 'sudo_value_rejected', subject: 'rule defaults', detail: checked.problem });
  }
  if (options.size === 0) return null;
  return {
    dn: `cn=defaults,${parent}`,
    objectClass: ['top', 'sudoRole'],
    attributes: [
      ['cn', ['defaults']],
      ['sudoOption', [...options]],
    ],
    entryUUID,
  };
}
