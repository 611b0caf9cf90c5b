import type { RouteRule } from '../../server/api.ts';

/** Lists that are typed, one value on each line. */
const LINE_FIELDS = ['hosts', 'hostGroups', 'users', 'policies'] as const;
export type LineField = (typeof LINE_FIELDS)[number];

/** A rule as it is typed. What the server has and this has not is a type error. */
export type RouteForm = { [Name in keyof RouteRule]: Name extends LineField ? string : RouteRule[Name] };

export function formOf(rule: RouteRule | null): RouteForm {
  const lines = (name: LineField) => (rule?.[name] ?? []).join('\n');
  return {
    channels: rule?.channels ?? [],
    events: rule?.events ?? [],
    severities: rule?.severities ?? [],
    ...{ hosts: lines('hosts'), hostGroups: lines('hostGroups'), users: lines('users'), policies: lines('policies') },
  };
}

const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

export function ruleOf({ hosts, hostGroups, users, policies, ...rest }: RouteForm): RouteRule {
  return {
    ...rest,
    ...{ hosts: linesOf(hosts), hostGroups: linesOf(hostGroups), users: linesOf(users), policies: linesOf(policies) },
  };
}
