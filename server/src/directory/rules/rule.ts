import { z } from 'zod';
import { isReservedGroup, isReservedUser } from '../numbers/reserved-names.ts';
import type { SudoSettings } from '../settings.ts';
import type { LintCode } from '../source/lint.ts';
import { checkCommand } from '../sudo/command.ts';
import { checkHost } from '../sudo/host.ts';
import { checkOption } from '../sudo/options.ts';
import { checkRule, MAX_ORDER, type WrittenRule } from '../sudo/rule.ts';

const value = z.string().max(1024);
const values = z.array(value).max(500);
const when = z.int().min(0).max(4_102_444_800_000).nullable();

/** A sudo rule of the database: for one group, some users or one netgroup. */
export const ruleInput = z
  .strictObject({
    /** cn of the entry; null: the group's name. */
    name: z.string().max(64).nullable().default(null),
    group: z.string().max(64).nullable().default(null),
    users: z.array(z.string().max(64)).max(500).default([]),
    netgroup: z.string().max(64).nullable().default(null),
    description: z.string().max(500).default(''),
    /** Empty: every host. */
    hosts: values.default([]),
    commands: values,
    /** Empty: root; with a group to run as, the caller. */
    runAsUser: values.default([]),
    runAsGroup: values.default([]),
    options: values.default([]),
    order: z.int().min(0).max(MAX_ORDER).nullable().default(null),
    notBefore: when.default(null),
    notAfter: when.default(null),
    enabled: z.boolean().default(true),
  })
  .readonly();
export type RuleInput = z.infer<typeof ruleInput>;

export interface FieldProblem {
  readonly field: keyof RuleInput;
  /** Position in a list; null for a single field. */
  readonly index: number | null;
  readonly message: string;
}

const WARNINGS = [
  'sudo_equals_all',
  'sudo_argument_wildcard',
  'sudo_argument_quoted',
  'sudo_host_unmatched',
  'sudo_unauthenticated',
] as const satisfies LintCode[];

/** Something that is allowed but should be meant. */
export interface RuleWarning {
  readonly code: (typeof WARNINGS)[number];
  readonly message: string;
}

export interface RuleSyntax {
  /** `relaxed`: upper case and `@`, as groups of another directory may have. */
  readonly groups: 'strict' | 'relaxed';
  readonly reserved: readonly string[];
}

const STRICT_GROUP = /^[a-z_][a-z0-9_.-]{0,31}$/;
const RELAXED_GROUP = /^[A-Za-z_][A-Za-z0-9_.@-]{0,63}$/;
const USER = /^[A-Za-z_][A-Za-z0-9_.@-]{0,63}$/;
const NETGROUP = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/;
const CN = /^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$/;

/** The rule in the words of `checkRule`. */
export function writtenOf(rule: RuleInput): WrittenRule {
  const given = (list: readonly string[]) => (list.length > 0 ? list : null);
  return {
    hosts: given(rule.hosts),
    commands: rule.commands,
    runAsUser: given(rule.runAsUser),
    runAsGroup: given(rule.runAsGroup),
    options: rule.options,
    order: rule.order,
    notBefore: rule.notBefore,
    notAfter: rule.notAfter,
  };
}

/** Values of `sudoUser`. */
export function sudoUsersOf(rule: RuleInput): string[] {
  return [
    ...(rule.group === null ? [] : [`%${rule.group}`]),
    ...rule.users,
    ...(rule.netgroup === null ? [] : [`+${rule.netgroup}`]),
  ];
}

/** The cn that a rule without a name of its own would like. */
export function nameOf(rule: RuleInput): string {
  return rule.name ?? rule.group ?? rule.users[0] ?? rule.netgroup ?? '';
}

/**
 * Everything that is wrong with a rule. The same rules as for what is served, so nothing is accepted here and missing in
 * LDAP later.
 */
export function checkInput(
  rule: RuleInput,
  settings: SudoSettings,
  syntax: RuleSyntax,
  hostNames: readonly string[],
): { problems: FieldProblem[]; warnings: RuleWarning[] } {
  const problems: FieldProblem[] = [];
  const wrong = (field: FieldProblem['field'], message: string, index: number | null = null) =>
    void problems.push({ field, index, message });

  if (rule.group !== null) {
    const fits = (syntax.groups === 'strict' ? STRICT_GROUP : RELAXED_GROUP).test(rule.group);
    if (!fits) wrong('group', 'not a group name');
    else if (isReservedGroup(rule.group, syntax.reserved)) wrong('group', 'this group belongs to the system');
  }
  for (const [index, user] of rule.users.entries()) {
    if (!USER.test(user)) wrong('users', 'not a user name', index);
    else if (isReservedUser(user, syntax.reserved)) wrong('users', 'this name belongs to the system', index);
  }
  if (rule.netgroup !== null && !NETGROUP.test(rule.netgroup)) wrong('netgroup', 'not a netgroup name');
  if (rule.group === null && rule.users.length === 0 && rule.netgroup === null) {
    wrong('group', 'say for whom: a group, users or a netgroup');
  }
  if (rule.name !== null && (!CN.test(rule.name) || /^(all|defaults)$/i.test(rule.name)))
    wrong('name', 'not a name for a rule');

  for (const [index, text] of rule.hosts.entries()) {
    const host = checkHost(text);
    if (!host.ok) wrong('hosts', host.problem, index);
    else if (host.kind === 'wildcard' && settings.hostWildcards === 'off')
      wrong('hosts', 'wildcards are switched off here', index);
  }
  if (rule.commands.length === 0) wrong('commands', 'name at least one command');
  for (const [index, text] of rule.commands.entries()) {
    const command = checkCommand(text, settings);
    if (!command.ok) wrong('commands', command.problem, index);
  }
  for (const [index, text] of rule.options.entries()) {
    const option = checkOption(text, settings);
    if (!option.ok) wrong('options', option.problem, index);
  }
  for (const field of ['runAsUser', 'runAsGroup'] as const) {
    for (const [index, text] of rule[field].entries()) {
      const alone = {
        ...writtenOf(rule),
        hosts: null,
        commands: ['ALL'],
        options: [],
        runAsUser: null,
        runAsGroup: null,
        notBefore: null,
        notAfter: null,
      };
      const lone = checkRule({ ...alone, [field]: [text] }, '', settings, [], () => {});
      if (!lone) wrong(field, field === 'runAsUser' ? 'not a user to run as' : 'not a group to run as', index);
    }
  }
  if (rule.notBefore !== null && rule.notAfter !== null && rule.notAfter <= rule.notBefore) {
    wrong('notAfter', 'it ends before it begins');
  }
  const warnings: RuleWarning[] = [];
  if (problems.length === 0) {
    const codes: readonly string[] = WARNINGS;
    const check = (written: WrittenRule) =>
      checkRule(written, '', settings, hostNames, ({ code, detail }) => {
        const known = warnings.some((one) => one.code === code && one.message === detail);
        if (codes.includes(code) && !known) warnings.push({ code: code as RuleWarning['code'], message: detail });
      });
    // Wildcards that reach no host yet may reach one tomorrow: what the rule allows there has to be meant today.
    const allows = check(writtenOf(rule)) ?? check({ ...writtenOf(rule), hosts: null });
    if (!allows) wrong('commands', 'the rule allows nothing');
  }
  return { problems, warnings };
}
