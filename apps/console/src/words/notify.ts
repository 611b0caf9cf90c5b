import type { Explanation, NotifyRoute, RouteRule } from '../server/api.ts';
import { listed } from './text.ts';

/** How urgent an event is. */
export const SEVERITIES: Readonly<Record<RouteRule['severities'][number], string>> = {
  info: 'Information',
  warning: 'Warning',
  critical: 'Critical',
};

/** What a rule lets through, an entry each; what is empty lets all through and is left out. */
export function limitsOf(rule: RouteRule): { label: string; values: string }[] {
  const limits: [string, readonly string[]][] = [
    ['Events', rule.events],
    ['Hosts', rule.hosts],
    ['Host groups', rule.hostGroups],
    ['Users', rule.users],
    ['Severity', rule.severities.map((severity) => SEVERITIES[severity])],
    ['Policies', rule.policies],
  ];
  return limits.flatMap(([label, values]) => (values.length === 0 ? [] : [{ label, values: values.join(', ') }]));
}

/** A route in a few words: routes have no names. */
export function routeText({ rule }: Pick<NotifyRoute, 'rule'>): string {
  const what = rule.events.length === 0 ? 'every event' : rule.events.join(', ');
  const limits = limitsOf({ ...rule, events: [] }).map(({ label, values }) => `${label.toLowerCase()} ${values}`);
  return `${what}${limits.length === 0 ? '' : ` with ${limits.join(', ')}`} to ${listed(rule.channels)}`;
}

type NotRouted = NonNullable<Explanation['routes'][number]['why']>;
/** Why a route does not fit an event. */
export const ROUTE_WHY: Readonly<Record<NotRouted, string>> = {
  switched_off: 'it is switched off',
  event: 'not for this event',
  host: 'not for this host',
  host_group: 'not for the group of this host',
  user: 'not for this user',
  severity: 'not for events as urgent as this',
  policy: 'not for the rule of this request',
};

type NotTold = NonNullable<Explanation['people'][number]['why']>;
/** Why a person is not told. */
export const PERSON_WHY: Readonly<Record<NotTold, string>> = {
  account_disabled: 'is disabled where people come from',
  switched_off: 'has switched notifications off',
  may_not_decide: 'could not decide this request',
  may_not_see: 'may not see this event',
  about_others: 'it is about others, and they did not ask for that',
  did_it: 'did it themselves',
  event: 'did not choose this event',
  host: 'did not choose this host',
};

type ChannelWhy = NonNullable<Explanation['channels'][number]['why']>;
/** Why a channel is not told. */
export const CHANNEL_WHY: Readonly<Record<ChannelWhy, string>> = {
  no_rule: 'no route that fits leads there',
  switched_off: 'the channel is switched off',
  not_chosen: 'its owner chose other channels',
  owner: 'its owner is not told',
};

/** By what a channel is told. */
export function byText(
  by: Explanation['channels'][number]['by'][number],
  { numberOf, nameOf }: { numberOf: (route: string) => number; nameOf: (person: string) => string },
): string {
  if (by.rule === 'policy') return 'the approval policy';
  if (by.rule === 'preference') return `what ${nameOf(by.person)} chose`;
  const number = numberOf(by.id);
  return number === 0 ? 'a route' : `route ${number}`;
}
