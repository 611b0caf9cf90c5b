import { z } from 'zod';
import { canonicalSha256 } from './digest.ts';
import { timestamp } from './names.ts';

/** What an event is about. The console asks anew for what belongs to a topic. */
export type Topic =
  | 'requests'
  | 'hosts'
  | 'passkeys'
  | 'people'
  | 'sessions'
  | 'directory'
  | 'rules'
  | 'scim'
  | 'policy'
  | 'attempts'
  | 'server';

/** Everything that readers of the log have to know about an event. What they do with it follows from here. */
export interface EventKind {
  /** One sentence for docs/events.md and for people. */
  readonly text: string;
  /** `attempts`: nothing has changed by it: somebody was refused, or only looked. */
  readonly topic: Topic;
  /** Everybody may see it when it is about their own accounts; all others are for administrators. */
  readonly own: boolean;
  /** What it makes old in the directory: the tree, or to whom a connection belongs. */
  readonly directory?: readonly ('tree' | 'connections')[];
}

/** Events. Those that the Go identree had keep their names, so that dashboards and SIEM rules carry over. */
export const EVENTS = {
  server_initialized: {
    text: 'The event log begins.',
    topic: 'server',
    own: false,
  },
  server_started: {
    text: 'A server process started.',
    topic: 'server',
    own: false,
  },
  log_key_created: {
    text: 'The server made the key that signs heads of the event log, or has another one than before.',
    topic: 'server',
    own: false,
  },
  log_epoch_started: {
    text: 'An operator let the event log go on from a backup: hosts give up what they have seen beyond it.',
    topic: 'server',
    own: false,
  },
  ca_rotation_begun: {
    text: 'An operator made another authority for certificates of hosts. Both count; the old one signs still.',
    topic: 'server',
    own: false,
  },
  ca_activated: {
    text: 'The new authority signs certificates of hosts. The old one counts still.',
    topic: 'server',
    own: false,
  },
  ca_rotation_finished: {
    text: 'The old authority for certificates of hosts counts no more.',
    topic: 'server',
    own: false,
  },
  audit_dead_letters_retried: {
    text: 'An operator has events delivered again that a receiver of the audit log refused.',
    topic: 'server',
    own: false,
  },
  audit_read: {
    text: 'Somebody read, searched or exported the event log.',
    topic: 'attempts',
    own: false,
  },
  audit_erased: {
    text: 'The payload of events whose time was over was archived and erased; their hashes stay.',
    topic: 'server',
    own: false,
  },
  host_log_contradicted: {
    text: 'A host has seen a signed head of the event log that the log does not continue; it refuses decisions.',
    topic: 'hosts',
    own: false,
  },
  host_log_followed: {
    text: 'A host that had contradicted the event log follows it again.',
    topic: 'hosts',
    own: false,
  },
  host_journal_contradicted: {
    text: 'The journal that a host keeps of what it did without a server is not the one that was seen before.',
    topic: 'hosts',
    own: false,
  },
  host_journal_followed: {
    text: 'The journal of a host continues what was seen of it before again.',
    topic: 'hosts',
    own: false,
  },
  host_journal_accepted: {
    text: 'An operator takes the journal of a host as it is now, though it is not the one that was seen before.',
    topic: 'hosts',
    own: false,
  },
  policy_changed: {
    text: 'Another approval policy became active.',
    topic: 'policy',
    own: false,
  },
  host_enrolled: {
    text: 'A host enrolled with a token or the enrolment secret.',
    topic: 'hosts',
    own: false,
    directory: ['tree'],
  },
  host_confirmed: {
    text: "An operator confirmed a host's key.",
    topic: 'hosts',
    own: false,
    directory: ['tree'],
  },
  host_group_changed: {
    text: 'An operator put a host into another group.',
    topic: 'hosts',
    own: false,
    directory: ['tree'],
  },
  host_reported: {
    text: 'What gives power on a host, or its gate, is not as the host said before.',
    topic: 'hosts',
    own: false,
    directory: ['tree'],
  },
  host_quarantined: {
    text: 'A host identity was seen in two places; it waits for an operator.',
    topic: 'hosts',
    own: false,
    directory: ['connections'],
  },
  host_removed: {
    text: 'An operator revoked a host.',
    topic: 'hosts',
    own: false,
    directory: ['tree', 'connections'],
  },
  enrolment_token_created: {
    text: 'An operator made an enrolment token.',
    topic: 'hosts',
    own: false,
  },
  certificate_issued: {
    text: 'The embedded CA issued a host certificate.',
    topic: 'hosts',
    own: false,
  },
  host_request_refused: {
    text: 'A host request was refused before it did anything.',
    topic: 'attempts',
    own: false,
  },
  breakglass_escrowed: {
    text: 'A break-glass password of a host is kept.',
    topic: 'hosts',
    own: false,
  },
  rotated_breakglass: {
    text: 'A host has another break-glass password.',
    topic: 'hosts',
    own: false,
  },
  breakglass_rotation_requested: {
    text: 'An operator asked for another break-glass password.',
    topic: 'hosts',
    own: false,
  },
  breakglass_reveal_requested: {
    text: 'An administrator asked to be shown the break-glass password of a host, which takes a second one.',
    topic: 'hosts',
    own: false,
  },
  breakglass_reveal_confirmed: {
    text: 'A second administrator confirmed that the break-glass password of a host is shown.',
    topic: 'hosts',
    own: false,
  },
  revealed_breakglass: {
    text: 'An administrator was shown the break-glass password of a host.',
    topic: 'hosts',
    own: false,
  },
  breakglass_reveal_refused: {
    text: 'An administrator was not shown the break-glass password of a host.',
    topic: 'attempts',
    own: false,
  },
  break_glass_used: {
    text: 'A break-glass password let a person in while no server could be reached.',
    topic: 'hosts',
    own: true,
  },
  break_glass_refused: {
    text: 'A wrong break-glass password was typed while no server could be reached.',
    topic: 'hosts',
    own: true,
  },
  challenge_created: {
    text: 'Someone on a host waits for an approval.',
    topic: 'requests',
    own: true,
  },
  challenge_shown: {
    text: 'The server showed a request that waited to a person who may decide it: told once for each person. Whether they read it nobody knows.',
    topic: 'attempts',
    own: true,
  },
  auto_approved: {
    text: 'A request was approved by policy or grace without a person.',
    topic: 'requests',
    own: true,
  },
  challenge_approved: {
    text: 'A person approved a request.',
    topic: 'requests',
    own: true,
  },
  challenge_rejected: {
    text: 'A person denied a request.',
    topic: 'requests',
    own: true,
  },
  challenge_expired: {
    text: 'Nobody answered a request in time.',
    topic: 'requests',
    own: true,
  },
  challenge_cancelled: {
    text: 'A request was withdrawn by its host, or its host fell silent.',
    topic: 'requests',
    own: true,
  },
  grant_used_offline: {
    text: 'A host told that it let a command run by an offline grant, without asking.',
    topic: 'requests',
    own: true,
  },
  challenge_outcome: {
    text: 'A host told what it did with an answer.',
    topic: 'requests',
    own: true,
  },
  challenge_run: {
    text: 'A host told what sudo did with a released command: it started, it ended, or sudo did not start it.',
    topic: 'requests',
    own: true,
  },
  decision_refused: {
    text: 'Somebody tried to decide and was refused.',
    topic: 'attempts',
    own: false,
  },
  user_logged_in: {
    text: 'A person signed in.',
    topic: 'sessions',
    own: true,
  },
  user_logged_out: {
    text: 'A person signed out.',
    topic: 'sessions',
    own: false,
  },
  login_failed: {
    text: 'A sign-in failed.',
    topic: 'attempts',
    own: false,
  },
  session_revoked: {
    text: 'A session was ended by its owner, an operator, the directory or the identity provider.',
    topic: 'sessions',
    own: true,
  },
  account_bound: {
    text: 'A person was bound to a Linux account: the one of their name at a sign-in, or the one that an operator gave them.',
    topic: 'people',
    own: false,
    directory: ['tree'],
  },
  account_binding_held: {
    text: 'A person claims a Linux account that belongs to somebody else; an operator must look.',
    topic: 'people',
    own: false,
  },
  account_binding_rejected: {
    text: 'An operator left a claimed Linux account with its owner.',
    topic: 'people',
    own: false,
  },
  passkey_added: {
    text: 'A person added a passkey.',
    topic: 'passkeys',
    own: true,
  },
  passkey_renamed: {
    text: 'A person renamed a passkey.',
    topic: 'passkeys',
    own: true,
  },
  passkey_removed: {
    text: 'A passkey was removed.',
    topic: 'passkeys',
    own: true,
  },
  recovery_code_created: {
    text: 'An administrator made a recovery code for a person.',
    topic: 'passkeys',
    own: false,
  },
  approver_keys_published: {
    text: 'A new approver-key set was signed.',
    topic: 'passkeys',
    own: false,
  },
  approver_keys_waiting: {
    text: 'A change of passkeys waits for the signature of the trust root, which is off line; hosts do not know of it yet.',
    topic: 'passkeys',
    own: false,
  },
  trust_root_detached: {
    text: 'The trust root was taken off line: this server can no longer say who approves.',
    topic: 'server',
    own: false,
  },
  directory_published: {
    text: 'Hosts see another directory: people, groups or their claims changed.',
    topic: 'directory',
    own: false,
  },
  directory_numbers_changed: {
    text: 'Numbers of users or groups were assigned, retired or given back to their owner.',
    topic: 'directory',
    own: false,
  },
  directory_number_adopted: {
    text: 'An operator gave somebody the numbers of an account that is gone.',
    topic: 'directory',
    own: false,
    directory: ['tree'],
  },
  directory_change_held: {
    text: 'A change that could give power waits for an operator.',
    topic: 'directory',
    own: false,
  },
  directory_change_confirmed: {
    text: 'An operator let a held change through.',
    topic: 'directory',
    own: false,
    directory: ['tree'],
  },
  directory_change_rejected: {
    text: 'An operator refused a held change.',
    topic: 'directory',
    own: false,
    directory: ['tree'],
  },
  directory_name_released: {
    text: 'An operator released a name that its former owner had left.',
    topic: 'directory',
    own: false,
    directory: ['tree'],
  },
  sudo_rule_modified: {
    text: 'A sudo rule was made, changed or removed.',
    topic: 'rules',
    own: false,
    directory: ['tree'],
  },
  scim_client_created: {
    text: 'An administrator made a SCIM token.',
    topic: 'scim',
    own: false,
  },
  scim_client_revoked: {
    text: 'An administrator revoked a SCIM token.',
    topic: 'scim',
    own: false,
  },
  scim_resource_changed: {
    text: 'A SCIM client changed a user or group.',
    topic: 'scim',
    own: false,
  },
  notification_channel_added: {
    text: 'A notification channel was set up.',
    topic: 'server',
    own: false,
  },
  notification_channel_changed: {
    text: 'A notification channel was changed, switched off or paused.',
    topic: 'server',
    own: false,
  },
  notification_channel_deleted: {
    text: 'A notification channel was removed; what waited for it is told to nobody.',
    topic: 'server',
    own: false,
  },
  notification_route_added: {
    text: 'An operator made a rule by which events go to notification channels.',
    topic: 'server',
    own: false,
  },
  notification_route_changed: {
    text: 'An operator changed a rule by which events go to notification channels.',
    topic: 'server',
    own: false,
  },
  notification_route_deleted: {
    text: 'An operator removed a rule by which events go to notification channels.',
    topic: 'server',
    own: false,
  },
  notification_preferences_changed: {
    text: 'A person chose what they are told.',
    topic: 'people',
    own: true,
  },
  notification_dead_letters_retried: {
    text: 'An operator has notifications sent again that were given up.',
    topic: 'server',
    own: false,
  },
  notification_dead_letters_discarded: {
    text: 'An operator discarded notifications that were given up.',
    topic: 'server',
    own: false,
  },
} as const satisfies Record<string, EventKind>;

export type EventName = keyof typeof EVENTS;

/** Topics whose events can be erased: those about the log itself say what was erased, and by which keys it is signed. */
export const ERASABLE_TOPICS: readonly Topic[] = [...new Set(Object.values(EVENTS).map(({ topic }) => topic))].filter(
  (topic) => topic !== 'server',
);

/** What is known about an event by its name; null for one that another version of the server wrote. */
export function eventKind(name: string): EventKind | null {
  return Object.hasOwn(EVENTS, name) ? EVENTS[name as EventName] : null;
}

/**
 * One row of the append-only log. `prevHash` and `hash` chain it; see {@link eventHash}. What can be erased of it are the
 * members of {@link EventPayload}.
 */
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
  /** Random, and erased with the payload: nobody can try out what was erased. Null: there is none any more, or never was. */
  salt: z.string().nullable().default(null),
  /** Null: an event of a version whose events could not be erased. */
  payloadHash: z.string().nullable().default(null),
  prevHash: z.string(),
  hash: z.string(),
});
export type EventRecord = z.infer<typeof eventRecord>;

/** An event as it is found in the log. `unreadable`: what is stored as its data cannot be read, and it is empty here. */
export type LoggedEvent = EventRecord & { readonly unreadable?: true };

/** What a signed-in person is told about an event, as it happens. */
export type FeedEvent = Pick<
  EventRecord,
  'seq' | 'at' | 'event' | 'username' | 'hostId' | 'hostname' | 'challengeId' | 'code' | 'actor' | 'reason'
> & { topic: Topic };

/** `prevHash` of the first event. */
export const CHAIN_START = '0'.repeat(43);

/** What of an event can be erased. It is hashed on its own, with a salt. */
export type EventPayload = Pick<
  EventRecord,
  'username' | 'hostId' | 'hostname' | 'code' | 'actor' | 'reason' | 'remoteAddr' | 'data'
>;

/** The payload as it is hashed. */
export function payloadOf(event: EventPayload & Pick<EventRecord, 'salt'>): EventPayload & Pick<EventRecord, 'salt'> {
  const { username, hostId, hostname, code, actor, reason, remoteAddr, data, salt } = event;
  return { username, hostId, hostname, code, actor, reason, remoteAddr, data, salt };
}

/** What an event is once its payload is erased. */
export const ERASED: EventPayload & Pick<EventRecord, 'salt'> = {
  username: '',
  hostId: null,
  hostname: null,
  code: null,
  actor: null,
  reason: null,
  remoteAddr: null,
  data: {},
  salt: null,
};

/** Whether the payload of an event was erased. That it was meant to be is for an event `audit_erased` to say. */
export const isErased = (event: Pick<EventRecord, 'salt' | 'payloadHash'>): boolean =>
  event.payloadHash !== null && event.salt === null;

/**
 * What the hash of an event is over. The payload is in it by its own hash: erased, the chain stays whole. Events of earlier
 * versions have their payload in it.
 */
export function hashedPart(event: Omit<EventRecord, 'hash'>): Record<string, unknown> {
  const { seq, at, event: name, challengeId, payloadHash, prevHash } = event;
  if (payloadHash !== null) return { v: 2, seq, at, event: name, challengeId, payloadHash, prevHash };
  const { salt: _, ...payload } = payloadOf(event);
  return { seq, at, event: name, challengeId, prevHash, ...payload };
}

/** SHA-256 over the RFC 8785 form of {@link hashedPart}. */
export const eventHash = (event: Omit<EventRecord, 'hash'>): string => canonicalSha256(hashedPart(event));

/** An event with its place in the chain. */
export function sealEvent(event: Omit<EventRecord, 'hash' | 'salt' | 'payloadHash'>, salt: string): EventRecord {
  const sealed = { ...event, salt, payloadHash: canonicalSha256(payloadOf({ ...event, salt })) };
  return { ...sealed, hash: eventHash(sealed) };
}

/** Whether an event is what its hash says. One that was erased has nothing left that could be something else. */
export function isAsHashed(event: EventRecord): boolean {
  if (eventHash(event) !== event.hash) return false;
  if (event.payloadHash === null) return event.salt === null;
  const payload = payloadOf(event);
  return isErased(event)
    ? canonicalSha256(payload) === canonicalSha256(ERASED)
    : canonicalSha256(payload) === event.payloadHash;
}
