import type { EventName } from './events.ts';

/** What became of something that earlier versions told, or did not tell: the event that says it now, or why none does. */
export interface Earlier {
  readonly now: EventName | null;
  readonly text: string;
}

/** Events of the Go identree that are called otherwise now, or that nothing causes. All others kept their names. */
export const EARLIER_EVENTS = {
  break_glass_policy_override: {
    now: null,
    text: 'Nobody overrides a policy. In an emergency there is the break-glass password: `break_glass_used`.',
  },
  sessions_revoked_bulk: { now: 'session_revoked', text: 'One event, with the handles of all sessions that ended.' },
  session_extended: { now: null, text: 'Sessions cannot be extended: they end when they end.' },
  grace_elevated: { now: null, text: 'There is no session of grace that could be raised.' },
  deployed: { now: null, text: 'The server installs nothing on hosts.' },
  user_removed: {
    now: 'directory_published',
    text: 'People are removed at their source; the sessions of who is gone end with `session_revoked`.',
  },
  claims_updated: { now: 'directory_published', text: 'Claims are changed at the source of people.' },
  config_changed: {
    now: 'policy_changed',
    text: 'Settings are read at the start, so nobody changes them while the server runs; the policy file is the exception.',
  },
  server_restarted: { now: 'server_started', text: 'Nobody restarts the server over the network.' },
  test: { now: null, text: 'A test of a channel is a delivery like others, in their list and not in the log.' },
} as const satisfies Record<string, Earlier>;

/** What the Go identree did without an event. */
export const EARLIER_SILENCE = {
  'one-tap approvals': { now: null, text: 'There are none: every approval is `challenge_approved`.' },
  'partial approvals': { now: null, text: 'There are none: one person decides a request.' },
  'sign-out': { now: 'user_logged_out', text: '' },
  'failed sign-ins': { now: 'login_failed', text: 'With the reason.' },
  'failed host authentication': { now: 'host_request_refused', text: 'With the refusal. Strangers: so many a minute.' },
  'rate limits': {
    now: 'host_request_refused',
    text: 'Where a host meets one. People who ask too often are refused without an event: a flood must not fill the log.',
  },
  'polls under another host name': { now: 'host_request_refused', text: 'A host is known by its key.' },
  'a new password for all hosts': {
    now: 'rotated_breakglass',
    text: 'From each host. It is asked for by `IDENTREE_BREAKGLASS_ROTATE_BEFORE`, a setting.',
  },
  'changed preferences': { now: 'notification_preferences_changed', text: '' },
  'an install script of one’s own': { now: null, text: 'There is none.' },
  'removal over SSH': { now: null, text: 'The server removes nothing from hosts.' },
  exports: { now: 'audit_read', text: 'And every other way of reading the log.' },
  'failed reveals': { now: 'breakglass_reveal_refused', text: '' },
  'certificates without mutual TLS': { now: 'certificate_issued', text: 'However they are issued.' },
  'a role that is taken away': {
    now: 'user_logged_in',
    text: 'With `lostRole` where the provider no longer tells the groups; it is looked up anew at each sign-in.',
  },
  'a policy that cannot be read': { now: 'policy_changed', text: 'With the reason, and again once it is mended.' },
  'use of API keys': {
    now: 'scim_resource_changed',
    text: 'With the name of the SCIM token. There are no other keys.',
  },
} as const satisfies Record<string, Earlier>;
