import type { RuleCheck, RuleInput } from '../../server/api.ts';

/** A rule as it is typed: lists one value on each line, times as `datetime-local` has them. */
export interface RuleForm {
  name: string;
  group: string;
  users: string;
  netgroup: string;
  description: string;
  hosts: string;
  commands: string;
  runAsUser: string;
  runAsGroup: string;
  options: string;
  order: string;
  notBefore: string;
  notAfter: string;
  enabled: boolean;
}

export type Field = keyof RuleInput;

/** What is wrong in a field; `line` counts from 1, null where it is about the whole field. */
export interface Problem {
  readonly field: Field;
  readonly line: number | null;
  readonly message: string;
}

export const LIST_FIELDS = ['users', 'hosts', 'commands', 'runAsUser', 'runAsGroup', 'options'] as const;
type ListField = (typeof LIST_FIELDS)[number];

const MAX_VALUES = 500;
const MAX_LENGTH: Record<ListField, number> = {
  users: 64,
  hosts: 1024,
  commands: 1024,
  runAsUser: 1024,
  runAsGroup: 1024,
  options: 1024,
};
const MAX_ORDER = 2_147_483_647;
const LATEST = 4_102_444_800_000;

const pad = (n: number) => String(n).padStart(2, '0');

/** The moment in this device's time, as `datetime-local` wants it. */
export function toLocal(at: number | null): string {
  if (at === null) return '';
  const d = new Date(at);
  const seconds = d.getSeconds() === 0 ? '' : `:${pad(d.getSeconds())}`;
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}T${pad(d.getHours())}:${pad(d.getMinutes())}${seconds}`;
}

export const EMPTY_FORM: RuleForm = {
  name: '',
  group: '',
  users: '',
  netgroup: '',
  description: '',
  hosts: '',
  commands: '',
  runAsUser: '',
  runAsGroup: '',
  options: '',
  order: '',
  notBefore: '',
  notAfter: '',
  enabled: true,
};

export function formOf(rule: RuleInput): RuleForm {
  const lines = (list: readonly string[]) => list.join('\n');
  return {
    name: rule.name ?? '',
    group: rule.group ?? '',
    users: lines(rule.users),
    netgroup: rule.netgroup ?? '',
    description: rule.description,
    hosts: lines(rule.hosts),
    commands: lines(rule.commands),
    runAsUser: lines(rule.runAsUser),
    runAsGroup: lines(rule.runAsGroup),
    options: lines(rule.options),
    order: rule.order === null ? '' : String(rule.order),
    notBefore: toLocal(rule.notBefore),
    notAfter: toLocal(rule.notAfter),
    enabled: rule.enabled,
  };
}

const linesOf = (text: string): { value: string; line: number }[] =>
  text
    .split('\n')
    .map((raw, index) => ({ value: raw.trim(), line: index + 1 }))
    .filter(({ value }) => value !== '');

const valuesOf = (text: string): string[] => linesOf(text).map(({ value }) => value);
const orNull = (text: string): string | null => (text.trim() === '' ? null : text.trim());

/** The rule that was typed, and what the server could not even read. */
export function ruleOf(form: RuleForm): { rule: RuleInput; problems: Problem[] } {
  const problems: Problem[] = [];
  const wrong = (field: Field, message: string, line: number | null = null) =>
    void problems.push({ field, line, message });
  for (const field of LIST_FIELDS) {
    const lines = linesOf(form[field]);
    if (lines.length > MAX_VALUES) wrong(field, `more than ${MAX_VALUES} values`);
    for (const { value, line } of lines)
      if (value.length > MAX_LENGTH[field]) wrong(field, `longer than ${MAX_LENGTH[field]} characters`, line);
  }
  const order = form.order.trim();
  const goodOrder = /^[0-9]{1,10}$/.test(order) && Number(order) <= MAX_ORDER;
  if (order !== '' && !goodOrder) wrong('order', `a whole number from 0 to ${MAX_ORDER}`);
  const time = (field: 'notBefore' | 'notAfter'): number | null => {
    if (form[field] === '') return null;
    const at = new Date(form[field]).getTime();
    if (at >= 0 && at <= LATEST) return at;
    wrong(field, 'not a time before the year 2100');
    return null;
  };
  return {
    rule: {
      name: orNull(form.name),
      group: orNull(form.group),
      users: valuesOf(form.users),
      netgroup: orNull(form.netgroup),
      description: form.description.trim(),
      hosts: valuesOf(form.hosts),
      commands: valuesOf(form.commands),
      runAsUser: valuesOf(form.runAsUser),
      runAsGroup: valuesOf(form.runAsGroup),
      options: valuesOf(form.options),
      order: goodOrder ? Number(order) : null,
      notBefore: time('notBefore'),
      notAfter: time('notAfter'),
      enabled: form.enabled,
    },
    problems,
  };
}

/** The server's problems at the lines that were typed: it counts values, a person counts lines. */
export function problemsAt(form: RuleForm, problems: RuleCheck['problems']): Problem[] {
  return problems.map(({ field, index, message }) => {
    const list = (LIST_FIELDS as readonly Field[]).includes(field) && index !== null;
    const line = list ? (linesOf(form[field as ListField])[index]?.line ?? null) : null;
    return { field, line, message };
  });
}
