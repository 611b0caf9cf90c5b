import { z } from 'zod';
import { canonicalSha256 } from './digest.ts';
import { timestamp } from './names.ts';

/**
 * Event names. Those that the Go identree had keep their names, so that dashboards and SIEM rules carry over.
 * One line each: generated into docs/events.md.
 */
export const EVENTS = {
  server_initialized: 'The event log begins.',
  server_started: 'A server process started.',
  policy_changed: 'Another approval policy became active.',
  host_enrolled: 'A host enrolled with a token or the enrolment secret.',
  host_confirmed: "An operator confirmed a host's key.",
  host_group_changed: 'An operator put a host into another group.',
  host_quarantined: 'A host identity was seen in two places; it waits for an operator.',
  host_removed: 'An operator revoked a host.',
  enrolment_token_created: 'An operator made an enrolment token.',
  certificate_issued: 'The embedded CA issued a host certificate.',
  host_request_refused: 'A host request was refused before it did anything.',
  challenge_created: 'Someone on a host waits for an approval.',
  auto_approved: 'A request was approved by policy or grace without a person.',
  challenge_approved: 'A person approved a request.',
  challenge_rejected: 'A person denied a request.',
  challenge_expired: 'Nobody answered a request in time.',
  challenge_cancelled: 'A request was withdrawn by its host, or its host fell silent.',
  challenge_outcome: 'A host told what it did with an answer.',
  decision_refused: 'Somebody tried to decide and was refused.',
  user_logged_in: 'A person signed in.',
  user_logged_out: 'A person signed out.',
  login_failed: 'A sign-in failed.',
  session_revoked: 'A session was ended by its owner or an operator.',
  account_bound: 'A person was bound to a Linux account of the same name.',
  account_binding_held: 'A person claims a Linux account that belongs to somebody else; an operator must look.',
  account_binding_rejected: 'An operator left a claimed Linux account with its owner.',
  passkey_added: 'A person added a passkey.',
  passkey_renamed: 'A person renamed a passkey.',
  passkey_removed: 'A passkey was removed.',
  recovery_code_created: 'An administrator made a recovery code for a person.',
  approver_keys_published: 'A new approver-key set was signed.',
  directory_published: 'Hosts see another directory: people, groups or their claims changed.',
  directory_numbers_changed: 'Numbers of users or groups were assigned, retired or given back to their owner.',
  directory_number_adopted: 'An operator gave somebody the numbers of an account that is gone.',
  directory_change_held: 'A change that could give power waits for an operator.',
  directory_change_confirmed: 'An operator let a held change through.',
  directory_change_rejected: 'An operator refused a held change.',
  directory_name_released: 'An operator released a name that its former owner had left.',
  sudo_rule_modified: 'A sudo rule was made, changed or removed.',
  scim_client_created: 'An administrator made a SCIM token.',
  scim_client_revoked: 'An administrator revoked a SCIM token.',
  scim_resource_changed: 'A SCIM client changed a user or group.',
} as const;

export type EventName = keyof typeof EVENTS;

/** One row of the append-only log. `prevHash` and `hash` chain it; see {@link eventHash}. */
export const eventRecord = z.object({
  seq: z.int().min(1),
  at: timestamp,
  event: z.string(),
  /** Whom it concerns: the Linux user or the person's user name. */
  username: z.string(),
  hostId: z.string().nullable(),
  hostname: z.string().nullable(),
  challengeId: z.string().nullable(),
  code: z.string().nullable(),
  /** Who did it, when it was not `username` itself. */
  actor: z.string().nullable(),
  reason: z.string().nullable(),
  remoteAddr: z.string().nullable(),
  /** Further facts; never a secret. */
  data: z.record(z.string(), z.unknown()),
  prevHash: z.string(),
  hash: z.string(),
});
export type EventRecord = z.infer<typeof eventRecord>;

/** `prevHash` of the first event. */
export const CHAIN_START = '0'.repeat(43);

/** SHA-256 over the RFC 8785 form of everything in the event but its own hash. */
export function eventHash(event: Omit<EventRecord, 'hash'>): string {
  return canonicalSha256(event);
}
