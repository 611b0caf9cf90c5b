import type { EventName } from '#shared/events.ts';

/** What people are told of in words of its own, in every language. `test`: somebody tries a channel. */
export const NOTIFIED = [
  'challenge_created',
  'auto_approved',
  'challenge_approved',
  'challenge_rejected',
  'challenge_expired',
  'challenge_cancelled',
  'break_glass_used',
  'break_glass_refused',
  'breakglass_escrowed',
  'breakglass_rotation_requested',
  'breakglass_reveal_requested',
  'revealed_breakglass',
  'host_enrolled',
  'host_removed',
  'host_quarantined',
  'host_reported',
  'host_log_contradicted',
  'host_journal_contradicted',
  'user_logged_in',
  'login_failed',
  'session_revoked',
  'account_binding_held',
  'passkey_added',
  'passkey_removed',
  'recovery_code_created',
  'approver_keys_waiting',
  'policy_changed',
  'directory_change_held',
  'sudo_rule_modified',
  'server_started',
  'test',
] as const satisfies readonly (EventName | 'test')[];
export type Notified = (typeof NOTIFIED)[number];

export const isNotified = (event: string): event is Notified => (NOTIFIED as readonly string[]).includes(event);

/** Names of what stands beside a sentence, and the words around it. */
export interface Labels {
  user: string;
  host: string;
  command: string;
  code: string;
  expires: string;
  reason: string;
  by: string;
  /** How much time is left; `{seconds}`. */
  seconds: string;
  /** Leads to the page of a request; it never decides by itself. */
  open: string;
  /** `{count}` further ones of the kind. */
  folded: string;
  /** Title of an event that has no words of its own. */
  other: string;
  /** A request that was announced waits no more. */
  over: string;
}

/** The words of one language, as ICU messages. Texts may name username, hostname, code, actor and reason. */
export interface Catalogue {
  titles: Record<Notified, string>;
  texts: Record<Notified, string>;
  labels: Labels;
}
