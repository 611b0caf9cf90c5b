import type { EventName } from './events.ts';

/**
 * How what an event tells of came out, in the words of ECS: in sinks, in exports and for filters. `failure`: what was tried
 * did not come about, or something is not as it should be. `unknown`: another version of the server wrote it.
 */
export const EVENT_OUTCOMES = ['success', 'failure', 'unknown'] as const;
export type EventOutcome = (typeof EVENT_OUTCOMES)[number];

/** Imports nothing that runs: the console lists events by it, and a browser needs nothing else of them. */
const OUTCOME_OF: Record<EventName, EventOutcome> = {
  server_initialized: 'success',
  server_started: 'success',
  log_key_created: 'success',
  log_epoch_started: 'success',
  trust_root_detached: 'success',
  ca_rotation_begun: 'success',
  ca_activated: 'success',
  ca_rotation_finished: 'success',
  audit_read: 'success',
  audit_erased: 'success',
  audit_dead_letters_retried: 'success',
  host_log_contradicted: 'failure',
  host_log_followed: 'success',
  host_journal_contradicted: 'failure',
  host_journal_followed: 'success',
  host_journal_accepted: 'success',
  policy_changed: 'success',
  host_enrolled: 'success',
  host_confirmed: 'success',
  host_group_changed: 'success',
  host_reported: 'success',
  host_quarantined: 'success',
  host_removed: 'success',
  enrolment_token_created: 'success',
  certificate_issued: 'success',
  host_request_refused: 'failure',
  breakglass_escrowed: 'success',
  rotated_breakglass: 'success',
  breakglass_rotation_requested: 'success',
  breakglass_reveal_requested: 'success',
  breakglass_reveal_confirmed: 'success',
  breakglass_reveal_refused: 'failure',
  revealed_breakglass: 'success',
  break_glass_used: 'success',
  break_glass_refused: 'failure',
  challenge_created: 'success',
  challenge_shown: 'success',
  auto_approved: 'success',
  challenge_approved: 'success',
  challenge_rejected: 'failure',
  challenge_expired: 'failure',
  challenge_cancelled: 'failure',
  grant_used_offline: 'success',
  challenge_outcome: 'success',
  challenge_run: 'success',
  decision_refused: 'failure',
  user_logged_in: 'success',
  user_logged_out: 'success',
  login_failed: 'failure',
  session_revoked: 'success',
  account_bound: 'success',
  account_binding_held: 'success',
  account_binding_rejected: 'success',
  passkey_added: 'success',
  passkey_renamed: 'success',
  passkey_removed: 'success',
  recovery_code_created: 'success',
  approver_keys_published: 'success',
  approver_keys_waiting: 'success',
  directory_published: 'success',
  directory_numbers_changed: 'success',
  directory_number_adopted: 'success',
  directory_change_held: 'success',
  directory_change_confirmed: 'success',
  directory_change_rejected: 'success',
  directory_name_released: 'success',
  sudo_rule_modified: 'success',
  scim_client_created: 'success',
  scim_client_revoked: 'success',
  scim_resource_changed: 'success',
  notification_channel_added: 'success',
  notification_channel_changed: 'success',
  notification_channel_deleted: 'success',
  notification_route_added: 'success',
  notification_route_changed: 'success',
  notification_route_deleted: 'success',
  notification_preferences_changed: 'success',
  notification_dead_letters_retried: 'success',
  notification_dead_letters_discarded: 'success',
};

/** Every event that there is. */
export const EVENT_NAMES = Object.keys(OUTCOME_OF) as [EventName, ...EventName[]];

export function eventOutcome(name: string): EventOutcome {
  return Object.hasOwn(OUTCOME_OF, name) ? OUTCOME_OF[name as EventName] : 'unknown';
}

/** Every event with this outcome. */
export const eventsWithOutcome = (outcome: EventOutcome): EventName[] =>
  EVENT_NAMES.filter((name) => eventOutcome(name) === outcome);
