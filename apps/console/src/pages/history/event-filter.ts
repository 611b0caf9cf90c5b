import { EVENT_NAMES, EVENT_OUTCOMES, type EventOutcome } from '#shared/event-outcome.ts';
import type { EventName } from '#shared/events.ts';

/** Names of the filters of events in the address. */
export const FILTER_NAMES = ['user', 'host', 'type', 'outcome', 'from', 'to'] as const;
export type FilterValues = Record<(typeof FILTER_NAMES)[number], string | null>;

/** What the server is asked for: as the export has it in its address. */
export interface EventFilter {
  user: string | null;
  host: string | null;
  event: EventName | null;
  outcome: EventOutcome | null;
  from: number | null;
  to: number | null;
}

/** A moment in the address: UTC, so that a link means the same everywhere. */
function momentOf(text: string | null): number | null {
  if (text === null || !/^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) || at < 0 ? null : at;
}

/** What an address says; nothing of what it says wrongly. `to` names a minute, and all of it is meant. */
export function filterOf({ user, host, type, outcome, from, to }: FilterValues): EventFilter {
  const last = momentOf(to);
  return {
    user: user || null,
    host: host || null,
    event: EVENT_NAMES.find((one) => one === type) ?? null,
    outcome: EVENT_OUTCOMES.find((one) => one === outcome) ?? null,
    from: momentOf(from),
    to: last === null ? null : last + 60_000,
  };
}

/** Where a file of what is shown is fetched. */
export function exportAddress(filter: EventFilter, format: string): string {
  const query = new URLSearchParams({ format });
  for (const [name, value] of Object.entries(filter)) if (value !== null) query.set(name, String(value));
  return `/api/v1/audit/export?${query}`;
}

const two = (n: number): string => String(n).padStart(2, '0');

/** What stands in a field for a moment of the address: the person's own time. */
export function localText(text: string | null): string {
  const at = momentOf(text);
  if (at === null) return '';
  const date = new Date(at);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** And back; null: nothing, or no moment yet. */
export function addressText(local: string): string | null {
  const at = Date.parse(local);
  return Number.isNaN(at) ? null : `${new Date(at).toISOString().slice(0, 16)}Z`;
}
