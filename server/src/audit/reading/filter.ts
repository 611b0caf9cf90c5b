import { z } from 'zod';
import { EVENT_NAMES, EVENT_OUTCOMES, eventsWithOutcome } from '#shared/event-outcome.ts';
import { EVENTS } from '#shared/events.ts';
import { isStorable } from '../../db/storable-text.ts';
import type { Viewer } from '../../http/viewer.ts';
import type { WantedEvents } from './event-page-store.ts';

/** A name in the query of an address: one of digits arrives as a number. */
const name = z.union([z.string().max(256).refine(isStorable), z.int()]).transform(String);

/** Which events somebody wants to see. In flat words, because that is how they stand in addresses. */
export const eventFilter = z.strictObject({
  /** Whom it concerns, exactly. */
  user: name.nullish(),
  /** The host, exactly. */
  host: name.nullish(),
  event: z.enum(EVENT_NAMES).nullish(),
  outcome: z.enum(EVENT_OUTCOMES).nullish(),
  /** The first millisecond, and the first one after the last. */
  from: z.int().min(0).nullish(),
  to: z.int().min(0).nullish(),
});
export type EventFilter = z.infer<typeof eventFilter>;

const OWN = Object.entries(EVENTS).flatMap(([event, { own }]) => (own ? [event] : []));

const intersection = (one: readonly string[] | null, other: readonly string[]): readonly string[] =>
  one === null ? other : one.filter((value) => other.includes(value));

/**
 * What is looked for in the log for somebody: an administrator sees all of it, others what is about their own accounts and
 * themselves. Whether they may see what is found is asked of each event again, because a name is no proof.
 */
export function wantedBy(viewer: Viewer, filter: EventFilter): WantedEvents {
  const byOutcome = filter.outcome ? eventsWithOutcome(filter.outcome) : null;
  const events = filter.event ? intersection(byOutcome, [filter.event]) : byOutcome;
  const usernames = filter.user ? [filter.user] : null;
  const wanted = { host: filter.host || null, from: filter.from ?? null, to: filter.to ?? null };
  if (viewer.role === 'admin') return { ...wanted, usernames, events };
  const own = [...new Set([viewer.person.username, ...viewer.accounts])];
  return { ...wanted, usernames: intersection(usernames, own), events: intersection(events, OWN) };
}
