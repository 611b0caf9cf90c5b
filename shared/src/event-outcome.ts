import { EVENTS, type EventName } from './events.ts';

/**
 * How what an event tells of came out, in the words of ECS and for filters. `failure`: somebody was denied or refused, or
 * something is not as it should be. `unknown`: it has not come out yet, or the event alone does not say.
 */
export const EVENT_OUTCOMES = ['success', 'failure', 'unknown'] as const;
export type EventOutcome = (typeof EVENT_OUTCOMES)[number];

/** What did not come out well, or not yet; everything else has happened as it was meant. */
const OTHERS: Partial<Record<EventName, EventOutcome>> = {
  host_log_contradicted: 'failure',
  host_quarantined: 'failure',
  host_request_refused: 'failure',
  break_glass_refused: 'failure',
  challenge_rejected: 'failure',
  challenge_expired: 'failure',
  challenge_cancelled: 'failure',
  decision_refused: 'failure',
  login_failed: 'failure',
  account_binding_rejected: 'failure',
  directory_change_rejected: 'failure',
  challenge_created: 'unknown',
  challenge_outcome: 'unknown',
  challenge_run: 'unknown',
  breakglass_reveal_requested: 'unknown',
  account_binding_held: 'unknown',
  directory_change_held: 'unknown',
};

/** `unknown` for an event that another version of the server wrote. */
export function eventOutcome(name: string): EventOutcome {
  if (!Object.hasOwn(EVENTS, name)) return 'unknown';
  return OTHERS[name as EventName] ?? 'success';
}

/** Every event with this outcome. */
export const eventsWithOutcome = (outcome: EventOutcome): EventName[] =>
  (Object.keys(EVENTS) as EventName[]).filter((name) => eventOutcome(name) === outcome);
