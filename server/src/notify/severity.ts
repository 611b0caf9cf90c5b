import { eventOutcome } from '#shared/event-outcome.ts';
import { type EventName, eventKind } from '#shared/events.ts';

/** How urgent it is that somebody reads of an event. */
export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Where a person has to look now: somebody may be where they should not be, or the proof of it is at stake. */
const CRITICAL: ReadonlySet<string> = new Set<EventName>([
  'break_glass_used',
  'break_glass_refused',
  'revealed_breakglass',
  'host_quarantined',
  'host_log_contradicted',
  'host_journal_contradicted',
  'log_key_created',
  'log_epoch_started',
  'directory_change_held',
  'account_binding_held',
]);

/** An event of another version of the server is worth a look. */
export function severityOf(event: string): Severity {
  if (CRITICAL.has(event)) return 'critical';
  return eventKind(event) === null || eventOutcome(event) !== 'success' ? 'warning' : 'info';
}
