import type { ErrorCode } from '#shared/errors.ts';
import { compileGlob } from '../policies/glob.ts';
import type { Preferences, RouteRule } from './settings.ts';
import type { Severity } from './severity.ts';

/** What rules go by. */
export interface EventFacts {
  readonly event: string;
  /** Whom it concerns; empty: nobody. */
  readonly username: string;
  readonly hostname: string | null;
  readonly hostGroup: string | null;
  readonly severity: Severity;
  /** The rule of the approval policy by which the request was made; null: it is about no request, or that is not known. */
  readonly policy: string | null;
  /** It asks for a decision. */
  readonly announces: boolean;
}

export interface RoutedChannel {
  readonly name: string;
  /** The person whom it reaches; null: it is shared. */
  readonly owner: string | null;
  readonly enabled: boolean;
}

/** Somebody with channels of their own, or preferences, and how they stand to the event. */
export interface Candidate {
  readonly id: string;
  readonly isAdmin: boolean;
  /** They are disabled at the source of people: nothing is told to them. */
  readonly disabled: boolean;
  /** Why they could not decide the request that it announces; null: they could. */
  readonly refusal: ErrorCode | null;
  readonly maySee: boolean;
  /** It is about them, or an account of theirs. */
  readonly concerned: boolean;
  /** They did it themselves. */
  readonly didIt: boolean;
  readonly preferences: Preferences;
}

/** A later step, while nobody has answered. */
export interface Step {
  readonly dueAt: number;
  readonly channels: readonly string[];
}

export interface RoutingRules {
  readonly channels: readonly RoutedChannel[];
  readonly routes: readonly { readonly id: string; readonly enabled: boolean; readonly rule: RouteRule }[];
  /** Shared channels that the approval policy names for the request. */
  readonly policyChannels: readonly string[];
  readonly people: readonly Candidate[];
}

/** By what a channel is told. */
export type By =
  | { readonly rule: 'route'; readonly id: string }
  | { readonly rule: 'policy' }
  | { readonly rule: 'preference'; readonly person: string };

/** What of a rule an event does not fit. */
export type Mismatch = 'event' | 'host' | 'host_group' | 'user' | 'severity' | 'policy';

/** Why a person is not told. */
export type NotTold =
  | 'account_disabled'
  | 'switched_off'
  | 'may_not_decide'
  | 'may_not_see'
  | 'about_others'
  | 'did_it'
  | 'event'
  | 'host';

export interface ChannelFinding {
  readonly channel: string;
  readonly owner: string | null;
  readonly told: boolean;
  /** By which rules it would be told. */
  readonly by: readonly By[];
  /** Null where it is told. `not_chosen`: its owner named others. `owner`: see what is found of the person. */
  readonly why: 'no_rule' | 'switched_off' | 'not_chosen' | 'owner' | null;
}

/** Everything that was looked at for an event: who is told, and why all others are not. */
export interface Findings {
  readonly channels: readonly ChannelFinding[];
  readonly routes: readonly { readonly id: string; readonly why: Mismatch | 'switched_off' | null }[];
  readonly people: readonly { readonly id: string; readonly why: NotTold | null; readonly refusal: ErrorCode | null }[];
  /** Channels that a rule names and that are not there, or not shared. */
  readonly unknown: readonly string[];
}

/** An empty list means all. */
const fits = (patterns: readonly string[], value: string): boolean =>
  patterns.length === 0 || patterns.some((pattern) => compileGlob(pattern)?.test(value));

const isAmong = (list: readonly string[], value: string | null): boolean =>
  list.length === 0 || (value !== null && list.includes(value));

/** Pure rule: what of a route an event does not fit; null: it fits. */
export function mismatchOf(rule: RouteRule, facts: EventFacts): Mismatch | null {
  if (!fits(rule.events, facts.event)) return 'event';
  if (!fits(rule.hosts, facts.hostname ?? '')) return 'host';
  if (!isAmong(rule.hostGroups, facts.hostGroup)) return 'host_group';
  if (!fits(rule.users, facts.username)) return 'user';
  if (!isAmong(rule.severities, facts.severity)) return 'severity';
  if (!isAmong(rule.policies, facts.policy)) return 'policy';
  return null;
}

/** Why a person is not told of an event; null: they are. */
function whyNotTold(person: Candidate, facts: EventFacts): NotTold | null {
  const { preferences } = person;
  if (person.disabled) return 'account_disabled';
  if (!preferences.enabled) return 'switched_off';
  if (facts.announces) {
    if (person.refusal !== null) return 'may_not_decide';
  } else {
    if (!person.maySee) return 'may_not_see';
    if (!person.concerned && !preferences.others) return 'about_others';
    if (person.didIt) return 'did_it';
  }
  if (!fits(preferences.events, facts.event)) return 'event';
  if (!fits(preferences.hosts, facts.hostname ?? '')) return 'host';
  return null;
}

/**
 * Pure rule: who is told of an event, by which rules, and who is not and why. All rules that fit add up; a channel is told
 * once, however many name it.
 */
export function routeEvent(facts: EventFacts, rules: RoutingRules): Findings {
  const known = new Map(rules.channels.map((channel) => [channel.name, channel]));
  const by = new Map<string, By[]>();
  const unknown = new Set<string>();
  function name(channel: string, because: By): void {
    by.set(channel, [...(by.get(channel) ?? []), because]);
  }
  /** What is not of one person's rules never reaches one person's channel. */
  function nameShared(channels: readonly string[], because: By): void {
    for (const channel of channels) {
      if (known.get(channel)?.owner === null) name(channel, because);
      else unknown.add(channel);
    }
  }

  const routes = rules.routes.map(({ id, enabled, rule }) => {
    const why = enabled ? mismatchOf(rule, facts) : ('switched_off' as const);
    if (why === null) nameShared(rule.channels, { rule: 'route', id });
    return { id, why };
  });
  nameShared(rules.policyChannels, { rule: 'policy' });

  const notChosen = new Set<string>();
  const people = rules.people.map((person) => {
    const { id, preferences, isAdmin } = person;
    const why = whyNotTold(person, facts);
    const own = rules.channels.filter(({ owner }) => owner === id).map((channel) => channel.name);
    const chosen = preferences.channels.length === 0 ? own : preferences.channels;
    if (why === null) {
      for (const channel of chosen) {
        const owner = known.get(channel)?.owner;
        if (owner === id || (owner === null && isAdmin)) name(channel, { rule: 'preference', person: id });
        else unknown.add(channel);
      }
      for (const channel of own) if (!chosen.includes(channel)) notChosen.add(channel);
    }
    return { id, why, refusal: why === 'may_not_decide' ? person.refusal : null };
  });

  const channels = rules.channels.map(({ name: channel, owner, enabled }): ChannelFinding => {
    const because = by.get(channel) ?? [];
    if (because.length > 0) {
      return { channel, owner, told: enabled, by: because, why: enabled ? null : 'switched_off' };
    }
    const why = owner === null ? 'no_rule' : notChosen.has(channel) ? 'not_chosen' : 'owner';
    return { channel, owner, told: false, by: [], why };
  });
  return { channels, routes, people, unknown: [...unknown] };
}
