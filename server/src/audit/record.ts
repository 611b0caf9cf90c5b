import { canonicalJson } from '#shared/canonical-json.ts';
import { eventOutcome } from '#shared/event-outcome.ts';
import { hashedPart, isErased, type LoggedEvent, payloadOf } from '#shared/events.ts';
import { VERSION } from '../version.ts';

/** An event on its way to a sink. */
export interface AuditRecord {
  readonly event: LoggedEvent;
  /** The whole of it as one line of JSON, without the line feed. */
  readonly text: string;
}

/** Milliseconds since the epoch as earlier versions wrote them: RFC 3339 in UTC, whole seconds. */
const wholeSeconds = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`;

/** Whom or what somebody did it to: another person, or else a host. */
const targetOf = ({ actor, username, hostname }: LoggedEvent): string | undefined =>
  (actor !== null && username !== '' && username !== actor ? username : hostname) ?? undefined;

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/**
 * What sinks carry of an event: the members that earlier versions had, with their names and in their order; then what was
 * added; last the event exactly as it was hashed. `id` is its hash: the same event has the same one however often it comes,
 * and an event that took its number after a restore has another. `,"record":` cannot stand in what comes before it, since
 * quotes within strings are escaped: from there to the next closing brace are the bytes whose SHA-256 is `hash`, which the
 * next event names as `prev_hash`. From `,"payload":` to the last brace are those whose SHA-256 is the `payloadHash` in it.
 * An event of an earlier version has everything in its record, which ends with the last brace, and no payload.
 */
export function auditRecord(event: LoggedEvent): AuditRecord {
  const { hash, unreadable } = event;
  const told = {
    seq: event.seq,
    prev_hash: event.prevHash,
    timestamp: wholeSeconds(event.at),
    event: event.event,
    username: event.username,
    hostname: event.hostname ?? undefined,
    code: event.code ?? undefined,
    actor: event.actor ?? undefined,
    reason: event.reason ?? undefined,
    remote_addr: event.remoteAddr ?? undefined,
    source: 'identree',
    version: VERSION,
    at: event.at,
    outcome: eventOutcome(event.event),
    target: targetOf(event),
    request_id: event.challengeId ?? undefined,
    host_id: event.hostId ?? undefined,
    policy_version: textOf(event.data.policyVersion),
    assertion_id: textOf(Array.isArray(event.data.assertionIds) ? event.data.assertionIds[0] : undefined),
    // Its data cannot be read, so what follows is not what was hashed.
    unreadable,
    // Its time was over before this sink had it.
    erased: isErased(event) || undefined,
    id: hash,
    hash,
  };
  const record = `${JSON.stringify(told).slice(0, -1)},"record":${canonicalJson(hashedPart(event))}`;
  if (event.payloadHash === null || isErased(event)) return { event, text: `${record}}` };
  return { event, text: `${record},"payload":${canonicalJson(payloadOf(event))}}` };
}
