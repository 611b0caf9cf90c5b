import type { RuleInput, ServedRule } from '../server/api.ts';
import { listed } from './text.ts';

/** One line about a sudo rule. `said`: nothing was written down, these are our words for what that means. */
export interface RuleRow {
  readonly label: string;
  readonly values: readonly string[];
  readonly said?: true;
}

type Values = Pick<RuleInput, 'hosts' | 'commands' | 'runAsUser' | 'runAsGroup' | 'options'> & {
  order: string | null;
  notBefore: string | null;
  notAfter: string | null;
};

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const when = (at: number | null) => (at === null ? null : moment.format(at));
const said = (text: string): Pick<RuleRow, 'values' | 'said'> => ({ values: [text], said: true });

function rowsOf(rule: Values): RuleRow[] {
  const alone = rule.runAsGroup.length > 0;
  const optional: RuleRow[] = [
    { label: 'With the group', values: rule.runAsGroup },
    { label: 'Options', values: rule.options },
    { label: 'Order', values: rule.order === null ? [] : [rule.order] },
    { label: 'From', values: rule.notBefore === null ? [] : [rule.notBefore] },
    { label: 'Until', values: rule.notAfter === null ? [] : [rule.notAfter] },
  ];
  return [
    rule.commands.length > 0
      ? { label: 'Commands', values: rule.commands }
      : { label: 'Commands', ...said('none, so no rule at all') },
    rule.hosts.length > 0 ? { label: 'On', values: rule.hosts } : { label: 'On', ...said('every host') },
    rule.runAsUser.length > 0
      ? { label: 'As', values: rule.runAsUser }
      : { label: 'As', ...said(alone ? 'themselves' : 'root') },
    ...optional.filter(({ values }) => values.length > 0),
  ];
}

/** A rule of the database in lines. */
export const rowsOfInput = (rule: RuleInput): RuleRow[] =>
  rowsOf({
    ...rule,
    order: rule.order === null ? null : String(rule.order),
    notBefore: when(rule.notBefore),
    notAfter: when(rule.notAfter),
  });

/** A served rule in lines. */
export const rowsOfServed = (rule: ServedRule): RuleRow[] =>
  rowsOf({
    hosts: [...rule.hosts],
    commands: [...rule.commands],
    runAsUser: [...rule.runAsUser],
    runAsGroup: [...rule.runAsGroup],
    options: [...rule.options],
    order: rule.order === null ? null : String(rule.order),
    notBefore: when(rule.notBefore),
    notAfter: when(rule.notAfter),
  });

/** The sudo claims of a group in lines, each exactly as the source has it. */
export function rowsOfClaims(claims: Readonly<Record<string, string>>): RuleRow[] {
  const list = (key: string) => (claims[key] === undefined ? [] : [claims[key]]);
  const rows = rowsOf({
    commands: list('sudoCommands'),
    hosts: list('sudoHosts'),
    runAsUser: list('sudoRunAsUser'),
    runAsGroup: list('sudoRunAsGroup'),
    options: list('sudoOptions'),
    order: claims.sudoOrder ?? null,
    notBefore: claims.sudoNotBefore ?? null,
    notAfter: claims.sudoNotAfter ?? null,
  });
  // Not the default: hosts do not get a rule with a claim that says nothing.
  return rows.map((row) =>
    row.values.length === 1 && row.values[0]!.trim() === ''
      ? { ...row, ...said('left empty, so the rule is void') }
      : row,
  );
}

export interface DifferentRow {
  readonly label: string;
  readonly before: RuleRow | null;
  readonly after: RuleRow | null;
  readonly same: boolean;
}

/** Two versions side by side, in the order of the later one. */
export function differences(before: readonly RuleRow[], after: readonly RuleRow[]): DifferentRow[] {
  const labels = [...new Set([...after, ...before].map(({ label }) => label))];
  return labels.map((label) => {
    const was = before.find((row) => row.label === label) ?? null;
    const is = after.find((row) => row.label === label) ?? null;
    return { label, before: was, after: is, same: JSON.stringify(was) === JSON.stringify(is) };
  });
}

/** Values of `sudoUser` in words: `members of web`, `alice`, `netgroup ops`. */
export function whoOf(sudoUsers: readonly string[]): string[] {
  return sudoUsers.map((user) =>
    user.startsWith('%') ? `members of ${user.slice(1)}` : user.startsWith('+') ? `netgroup ${user.slice(1)}` : user,
  );
}

/** For whom a rule of the database is. */
export function whoOfInput(rule: RuleInput): string[] {
  return whoOf([
    ...(rule.group === null ? [] : [`%${rule.group}`]),
    ...rule.users,
    ...(rule.netgroup === null ? [] : [`+${rule.netgroup}`]),
  ]);
}

/** People by name get long lists; the first few say enough. */
const WHO_SHOWN = 8;

/** For whom a rule is, in a sentence. */
export function whoText(who: readonly string[]): string {
  if (who.length <= WHO_SHOWN) return listed(who);
  return `${who.slice(0, WHO_SHOWN).join(', ')} and ${who.length - WHO_SHOWN} more`;
}

/** What a warning means for whoever has to mean it. `message` is the server's: the value that it is about. */
export function warningText(warning: { code: string; message: string }): string {
  switch (warning.code) {
    case 'sudo_equals_all':
      return warning.message === 'ALL'
        ? 'ALL is unrestricted: whoever has this rule can do everything.'
        : `${warning.message} can start any other program, so this is as good as ALL.`;
    case 'sudo_argument_wildcard':
      return `${warning.message}: a wildcard in the arguments also matches blanks, further options and other paths.`;
    case 'sudo_argument_quoted':
      return `${warning.message}: sudo sees the arguments without quotes, so this never matches. Write them as the program gets them.`;
    case 'sudo_host_unmatched':
      return `${warning.message} yet, so the rule reaches fewer hosts than it seems, or none.`;
    case 'sudo_unauthenticated':
      return 'Commands of this rule run without anybody’s approval where the gate is the PAM stage.';
    default:
      return warning.message;
  }
}
