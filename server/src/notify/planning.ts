import { sha256 } from '#shared/digest.ts';
import { eventKind, isErased, type LoggedEvent } from '#shared/events.ts';
import type { Absent, ViewerResolver } from '../auth/resolve-viewer.ts';
import type { Standing } from '../auth/standing.ts';
import type { Announced, Announcing } from '../challenges/announcing.ts';
import type { Database } from '../db/database.ts';
import type { NotifyDeliveriesTable } from '../db/schema.ts';
import { maySeeEvent } from '../events/feed.ts';
import type { HostService } from '../hosts/service.ts';
import type { Clock } from '../platform/clock.ts';
import type { UnreadableRows } from '../platform/unreadable.ts';
import { listChannels } from './channel-store.ts';
import { findPreferences, listPreferences } from './preference-store.ts';
import { afterQuiet } from './quiet-hours.ts';
import { listRoutes, type StoredRoute } from './route-store.ts';
import {
  type By,
  type Candidate,
  type EventFacts,
  type Findings,
  type NotTold,
  routeEvent,
  type Step,
} from './routing.ts';
import { DEFAULT_PREFERENCES, type Preferences } from './settings.ts';
import { severityOf } from './severity.ts';
import { announcementsOver, TAKES_BACK, takingBack } from './taking-back.ts';

/** After so many attempts without success it is a dead letter. With the pauses in between that is about an hour. */
export const MOST_ATTEMPTS = 12;

/** What the approval policy says about telling people of a request. */
export interface PolicyTelling {
  /** Shared channels that are told at once. */
  readonly channels: readonly string[];
  /** Later ones, in their order, while nobody has answered. */
  readonly steps: readonly Step[];
}

/** Asked for each request, with the rule under which it was made. */
export type OfPolicy = (rule: string, event: LoggedEvent) => PolicyTelling | Promise<PolicyTelling>;

export interface PlanningDeps {
  db: Pick<Database, 'query'>;
  clock: Clock;
  unreadable: Pick<UnreadableRows, 'report'>;
  people: Pick<ViewerResolver, 'allAbsent'>;
  standing: Pick<Standing, 'personMayAct'>;
  announcing: Announcing;
  hosts: Pick<HostService, 'facts'>;
  ofPolicy: OfPolicy;
}

/** Channels, routes and people, as they are read for some events at once. */
interface Rules {
  readonly channels: Awaited<ReturnType<typeof listChannels>>;
  readonly routes: readonly StoredRoute[];
  readonly people: ReadonlyMap<string, Absent & { readonly preferences: Preferences }>;
}

/** What was found for an event. */
export interface Routed {
  readonly facts: EventFacts;
  readonly findings: Findings;
  readonly steps: readonly Step[];
  /** The people whom the findings name. */
  readonly people: Rules['people'];
}

/** What one person is told, by what they have chosen now. */
export interface OfOne {
  readonly preferences: Preferences;
  readonly channels: number;
  about(event: LoggedEvent): Promise<{
    /** Null: they are told of it. */
    readonly why: NotTold | null;
    /** They may know of it at all. */
    readonly sees: boolean;
    /** Where; none: they have no channel for it. */
    readonly on: readonly string[];
  }>;
}

const NOTHING_OF_POLICY: PolicyTelling = { channels: [], steps: [] };

/** Such an event asks for a decision, and is of no use once that is taken. */
export const announces = (event: Pick<LoggedEvent, 'event' | 'challengeId'>): boolean =>
  event.event === 'challenge_created' && event.challengeId !== null;

/** Whether a request is over with this event, or has been. */
const endsRequest = (event: LoggedEvent): boolean =>
  event.challengeId !== null && eventKind(event.event)?.topic === 'requests' && !announces(event);

const factsOf = (event: LoggedEvent, hostGroup: string | null): EventFacts => ({
  event: event.event,
  username: event.username,
  hostname: event.hostname,
  hostGroup,
  severity: severityOf(event.event),
  policy: typeof event.data.rule === 'string' ? event.data.rule : null,
  announces: announces(event),
});

export type Planning = ReturnType<typeof createPlanning>;

/** Finds out whom events are told to. */
export function createPlanning(deps: PlanningDeps) {
  const { db, clock } = deps;

  async function rulesNow(channels: Rules['channels']): Promise<Rules> {
    const routes = (await listRoutes(db.query)).flatMap((route) => {
      if (!('unreadable' in route)) return [route];
      deps.unreadable.report('notify_routes', route);
      return [];
    });
    const chosen = await listPreferences(db.query);
    const ids = new Set([...chosen.keys(), ...channels.flatMap(({ owner }) => owner ?? [])]);
    const people = new Map<string, Absent & { preferences: Preferences }>();
    for (const [id, person] of await deps.people.allAbsent(db.query, [...ids])) {
      const own = chosen.get(id) ?? DEFAULT_PREFERENCES;
      if ('unreadable' in own) deps.unreadable.report('notify_preferences', own);
      people.set(id, { ...person, preferences: 'unreadable' in own ? DEFAULT_PREFERENCES : own });
    }
    return { channels, routes, people };
  }

  function candidateOf(
    [id, person]: [string, Absent & { preferences: Preferences }],
    event: LoggedEvent,
    request: Announced | null,
  ): Candidate {
    const { approver } = event.data as { approver?: { issuer?: unknown; subject?: unknown } | null };
    const { issuer, subject } = person.person;
    return {
      id,
      isAdmin: person.role === 'admin',
      disabled: !deps.standing.personMayAct(person.person),
      refusal: request === null ? 'challenge_not_found' : request.refusalFor(person),
      maySee: maySeeEvent(person, event),
      concerned: maySeeEvent({ ...person, role: 'user' }, event),
      didIt: approver?.issuer === issuer && approver?.subject === subject,
      preferences: person.preferences,
    };
  }

  const requestOf = async (event: LoggedEvent): Promise<Announced | null> =>
    announces(event) ? deps.announcing.request(event.challengeId!) : null;

  async function route(event: LoggedEvent, rules: Rules): Promise<Routed> {
    const isAnnouncement = announces(event);
    const request = await requestOf(event);
    const hostGroup = event.hostId === null ? null : (await deps.hosts.facts(db.query, event.hostId)).group;
    const facts = factsOf(event, hostGroup);
    const { policy: rule } = facts;
    const policy = isAnnouncement && rule !== null ? await deps.ofPolicy(rule, event) : NOTHING_OF_POLICY;
    const findings = routeEvent(facts, {
      channels: rules.channels,
      routes: rules.routes,
      policyChannels: policy.channels,
      people: [...rules.people].map((entry) => candidateOf(entry, event, request)),
    });
    return { facts, findings, steps: policy.steps, people: rules.people };
  }

  function deliveriesOf(event: LoggedEvent, { findings, steps, people }: Routed): NotifyDeliveriesTable[] {
    const now = clock.now();
    const isAnnouncement = announces(event);
    const planned = (channel: string, person: string | null, step: number, dueAt: number, because: readonly By[]) => ({
      // Of the hash: in a log that goes on from a backup a number may be another event's than before.
      id: sha256(`${event.hash} ${channel} ${person ?? ''} ${step}`),
      seq: event.seq,
      event: event.event,
      channel,
      person: person ?? '',
      step,
      announces: isAnnouncement ? event.challengeId : null,
      fold_key: `${event.event} ${event.hostId ?? ''} ${step}`,
      because: JSON.stringify(because),
      status: 'queued' as const,
      attempts: 0,
      attempts_left: MOST_ATTEMPTS,
      due_at: dueAt,
      created_at: now,
      ended_at: null,
      reason: null,
      folded_into: null,
    });
    const atOnce = findings.channels
      .filter(({ told }) => told)
      .map(({ channel, owner, by }) => {
        const quiet = owner === null ? null : (people.get(owner)?.preferences.quiet ?? null);
        return planned(channel, owner, 0, afterQuiet(quiet, now), by);
      });
    const shared = new Set(
      findings.channels.flatMap(({ channel, owner, why }) =>
        owner === null && why !== 'switched_off' ? [channel] : [],
      ),
    );
    const later = steps.flatMap(({ channels, dueAt }, index) =>
      [...new Set(channels)]
        .filter((channel) => shared.has(channel))
        .map((channel) => planned(channel, null, index + 1, dueAt, [{ rule: 'policy' }])),
    );
    return [...atOnce, ...later];
  }

  /**
   * What is shown of a request that is over with this event is taken back where nobody is told of that now. What such an
   * announcement stood for is shown nowhere any more then, and is told itself if it still waits.
   */
  async function takenBack(
    event: LoggedEvent,
    { channels, people }: Rules,
    planned: readonly NotifyDeliveriesTable[],
  ): Promise<{ back: NotifyDeliveriesTable[]; gone: string[] }> {
    const now = clock.now();
    const told = new Set(planned.flatMap(({ channel, due_at }) => (due_at <= now ? [channel] : [])));
    const over = await announcementsOver(db.query, event, channels);
    const back = over
      .filter(({ channel }) => !told.has(channel))
      .map((announced) => {
        const id = sha256(`${event.hash} ${announced.channel} ${announced.person} ${TAKES_BACK}`);
        return takingBack(announced, { id, seq: event.seq, event: event.event, created_at: now });
      });
    // In the night nobody is disturbed by what is over in the morning.
    const isAwake = (person: string) => afterQuiet(people.get(person)?.preferences.quiet ?? null, now) === now;
    return { back, gone: over.flatMap(({ id, person }) => (isAwake(person) ? [id] : [])) };
  }

  return {
    /**
     * Whether a person may be told of an event now. What waits for the end of the night, for a channel that is paused or for
     * a receiver that was away was planned when they perhaps still belonged here.
     */
    async mayBeTold(personId: string, event: LoggedEvent, request: Announced | null): Promise<boolean> {
      const person = (await deps.people.allAbsent(db.query, [personId])).get(personId);
      if (person === undefined || !deps.standing.personMayAct(person.person)) return false;
      return announces(event) ? request?.refusalFor(person) === null : maySeeEvent(person, event);
    },

    /** The same rules for one person alone, who need not have a channel; null: there is nobody of this id. */
    async ofOne(id: string): Promise<OfOne | null> {
      const person = (await deps.people.allAbsent(db.query, [id])).get(id);
      if (person === undefined) return null;
      const found = (await findPreferences(db.query, id)) ?? DEFAULT_PREFERENCES;
      const preferences = 'unreadable' in found ? DEFAULT_PREFERENCES : found;
      const channels = await listChannels(db.query);
      return {
        preferences,
        channels: channels.filter(({ owner }) => owner === id).length,
        async about(event) {
          const candidate = candidateOf([id, { ...person, preferences }], event, await requestOf(event));
          const { people, channels: found } = routeEvent(factsOf(event, null), {
            ...{ channels, routes: [], policyChannels: [] },
            people: [candidate],
          });
          return {
            why: people[0]!.why,
            sees: candidate.maySee || (announces(event) && candidate.refusal === null),
            on: found.flatMap(({ channel, told }) => (told ? [channel] : [])),
          };
        },
      };
    },

    /** Whom an event is told to by the rules of now, and why all others are not. */
    route: async (event: LoggedEvent): Promise<Routed> => route(event, await rulesNow(await listChannels(db.query))),

    /**
     * What is to be told of some events, requests that are over with them, and deliveries of which nothing is shown any more:
     * what those stood for is to be told itself.
     */
    async plan(
      events: readonly LoggedEvent[],
    ): Promise<{ deliveries: NotifyDeliveriesTable[]; ended: readonly string[]; gone: readonly string[] }> {
      const channels = await listChannels(db.query);
      const ended = [...new Set(events.flatMap((event) => (endsRequest(event) ? [event.challengeId!] : [])))];
      if (channels.length === 0) return { deliveries: [], ended, gone: [] };
      const rules = await rulesNow(channels);
      const deliveries: NotifyDeliveriesTable[] = [];
      const gone: string[] = [];
      for (const event of events) {
        // There is nothing left to tell.
        if (isErased(event)) continue;
        const planned = deliveriesOf(event, await route(event, rules));
        const taken = await takenBack(event, rules, planned);
        deliveries.push(...planned, ...taken.back);
        gone.push(...taken.gone);
      }
      return { deliveries, ended, gone };
    },
  };
}
