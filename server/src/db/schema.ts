import type { ColumnType, Selectable } from 'kysely';
import type { JournalName, JournalProblem } from '#shared/journal-head.ts';

/** Text that holds JSON; stores parse it with a zod schema when they read it. */
export type JsonText = string;
/** Milliseconds since the Unix epoch. */
export type Timestamp = number;
/** 0 or 1: SQLite has no boolean, so neither database uses one. */
export type Flag = 0 | 1;
type Immutable<T> = ColumnType<T, T, never>;

/** Single facts about this installation: `server_id`, `trust_root`, `evaluation`, `log_key`. */
export interface MetaTable {
  key: string;
  value: string;
}

/** The append-only log. `data` is canonical JSON. What can be changed is what is erased once its time is over. */
export interface EventsTable {
  seq: Immutable<number>;
  at: Immutable<Timestamp>;
  event: Immutable<string>;
  username: string;
  host_id: string | null;
  hostname: string | null;
  challenge_id: Immutable<string | null>;
  code: string | null;
  actor: string | null;
  reason: string | null;
  remote_addr: string | null;
  data: JsonText;
  /** Hashed with what can be erased, and erased with it. */
  salt: string | null;
  /** Hash of what can be erased. Null: of a version that did not erase. */
  payload_hash: Immutable<string | null>;
  prev_hash: Immutable<string>;
  hash: Immutable<string>;
}

/** How far events of each topic were erased, whose time is over. */
export interface EventErasuresTable {
  topic: string;
  /** Everything up to here that can be erased of it is. */
  seq: number;
}

/** One row: the newest event. Locked by every writer, so sequence numbers are allocated serially. */
export interface EventHeadTable {
  id: 1;
  seq: number;
  hash: string;
}

/**
 * Signed heads of the log, one about every thousand events: from the newest a server folds on, instead of from the first
 * event. Only what the log key signed counts.
 */
export interface LogHeadsTable {
  seq: Immutable<number>;
  token: Immutable<string>;
}

/** Where operators let the log go on from a backup: each as the trust root signed it. */
export interface LogEpochsTable {
  at: Immutable<Timestamp>;
  seq: Immutable<number>;
  token: Immutable<string>;
}

/** Hosts that have seen a head which the log does not continue. */
export interface LogDisputesTable {
  host_id: string;
  contradiction: 'rolled_back' | 'forked';
  /** The newest event that the host has followed the log to. */
  seq: number;
  /** The head of that event as it was signed; null when the log key did not sign what the host sent. */
  head: string | null;
  at: Timestamp;
}

export interface HostsTable {
  id: string;
  hostname: string;
  state: 'waiting' | 'active' | 'quarantined' | 'revoked';
  host_group: string | null;
  /** Ed25519 public key, base64url `x` of the JWK. */
  api_key: string;
  api_key_thumbprint: string;
  machine_id: string;
  /** Highest counter seen; see host-api.ts. */
  counter: number;
  /** When the request with it was signed, seconds by the clock of the host; null: it was taken before this was noted. */
  counter_signed_at: number | null;
  /** Set when an operator releases a quarantined host: the next request sets machine id and counter anew. */
  rebind: Flag;
  /** When its certificate begins and ends; null: of before this was noted, and not to be read. */
  certificate_from: Timestamp | null;
  certificate_until: Timestamp | null;
  enrolled_at: Timestamp;
  enrolled_with: 'token' | 'shared_secret';
  confirmed_at: Timestamp | null;
  last_seen_at: Timestamp | null;
  agent_version: string | null;
  os_info: string | null;
  clock_skew_ms: number | null;
  checkpoint_seq: number;
  remote_addr: string | null;
  /**
   * The directory is not served to it: 1 before it has said what gives power on it, 2 when that is names of the directory and
   * nobody has answered yet.
   */
  report_due: 0 | 1 | 2;
  /** Patterns of sudo rules mean it. */
  reached: Flag;
  /** Its offline grants up to this sequence number are revoked; see shared/src/offline-grant.ts. */
  grants_revoked_to: number;
  /** Hash of the last entry that it told of its journal of offline grants. */
  grants_journal: string | null;
}

/** Which authorities a host goes by, as it told with a heartbeat. */
export interface HostAuthoritiesTable {
  host_id: string;
  /** Fingerprint of who signed its certificate; null when it knows nobody who did. */
  issuer: string | null;
  /** Fingerprints of those that it accepts, one after the other with a space between. */
  bundle: string;
  told_at: Timestamp;
}

/** What a host says of itself; see `hostReport` in shared/src/host-api.ts. */
export interface HostReportsTable {
  host_id: string;
  digest: string;
  report: JsonText;
  reported_at: Timestamp;
}

/** What the agent of a host found when it looked at itself last. */
export interface HostChecksTable {
  host_id: string;
  checked_at: Timestamp;
  /** hostChecks of shared/src/host-checks.ts. */
  lines: JsonText;
}

/** What is known of a journal that a host keeps; see shared/src/journal-head.ts. */
export interface HostJournalsTable {
  host_id: string;
  journal: JournalName;
  /** How many entries it had, and the hash of the last of them: the most that was ever shown to continue what was known. */
  seq: number;
  hash: string;
  /** The heads in which the host has signed just that; null: the entry itself was told since. */
  head: string | null;
  heard_at: Timestamp;
  /** When the last entry that was told was made, by the clock of the host: heads of before may not know it. */
  told_at: Timestamp | null;
  problem: JournalProblem | null;
  problem_at: Timestamp | null;
  /** What the host says instead, and the heads that say so. */
  said_seq: number | null;
  said_hash: string | null;
  said: string | null;
}

/** A managed host as it is kept. */
export type Host = Selectable<HostsTable>;

export interface EnrolmentTokensTable {
  id: string;
  secret_hash: string;
  hostname: string;
  created_by: string;
  created_at: Timestamp;
  expires_at: Timestamp;
  used_at: Timestamp | null;
  used_by: string | null;
}

/** Nonces of signed host requests, unique across replicas; kept while a replay would still be fresh. */
export interface HostNoncesTable {
  host_id: string;
  nonce: string;
  expires_at: Timestamp;
}

/** A person is (issuer, subject); every name is display. */
export interface PeopleTable {
  id: string;
  issuer: string;
  subject: string;
  username: string;
  display_name: string;
  email: string | null;
  /** JSON array of group names from the newest sign-in. */
  groups: JsonText;
  /** Grows when everything issued to this person before must stop counting. */
  epoch: number;
  created_at: Timestamp;
  last_login_at: Timestamp;
  /** By what the source of people knows them, where that is not the subject: the claim, and what it said. */
  source_id_claim: string | null;
  source_id: string | null;
}

/**
 * Which person a Linux account belongs to, where the directory does not say it. One on a name that the directory has given
 * counts only where an operator preferred it to the person whom the directory means, or where nobody would have an account
 * without it (`from_before`).
 */
export interface AccountBindingsTable {
  account: string;
  person_id: string;
  created_at: Timestamp;
  /** Not used any more: claims have a table of their own. */
  held_person_id: string | null;
  held_at: Timestamp | null;
  /** Identity at the source of people that an operator set aside for this binding. */
  instead_of_issuer: string | null;
  instead_of_subject: string | null;
  /** They had left the account by then: it is theirs again when they are back under it. */
  while_left: Flag;
  /** It was made when a name in a sign-in was all that counted. */
  from_before: Flag;
}

/** A person signed in under the name of an account that is another one's; an operator decides. The newest of each account. */
export interface AccountClaimsTable {
  account: string;
  person_id: string;
  held_at: Timestamp;
  /** Whose it was then: who decides has seen this owner and no other. */
  owner_issuer: string;
  owner_subject: string;
}

export interface SessionsTable {
  /** SHA-256 of the cookie value; the value itself is nowhere. */
  id_hash: string;
  /** Public handle for listing and revoking. */
  handle: string;
  person_id: string;
  person_epoch: number;
  kind: 'browser' | 'desktop';
  csrf_token: string;
  auth_time: Timestamp;
  created_at: Timestamp;
  last_seen_at: Timestamp;
  expires_at: Timestamp;
  revoked_at: Timestamp | null;
  user_agent: string;
  remote_addr: string;
  /** `sid` of the session at the identity provider that this one began with; null when it named none. */
  provider_sid: string | null;
  /** For signing out there: the ID token, encrypted with a key that only the cookie gives. */
  id_token: string | null;
}

/** A sign-in under way, found by the hash of its `state`. */
export interface LoginAttemptsTable {
  state_hash: string;
  /** Hash of the cookie that binds the attempt to one browser. */
  browser_hash: string;
  nonce: string;
  code_verifier: string;
  return_to: string;
  expires_at: Timestamp;
}

export interface PasskeysTable {
  credential_id: string;
  person_id: string;
  name: string;
  /** JWK as JSON. */
  jwk: JsonText;
  /** COSE key, base64url, as the authenticator gave it. */
  cose_key: string;
  sign_count: number;
  transports: JsonText;
  backup_eligible: Flag;
  backed_up: Flag;
  created_at: Timestamp;
  last_used_at: Timestamp | null;
}

/** WebAuthn ceremonies other than approvals: the challenge is remembered and used once. */
export interface CeremoniesTable {
  challenge: string;
  purpose: 'register' | 'manage' | 'confirm';
  person_id: string;
  session_hash: string;
  /** What the ceremony is about, for example the credential to remove. */
  target: string | null;
  expires_at: Timestamp;
}

export interface RecoveryCodesTable {
  code_hash: string;
  person_id: string;
  created_by: string;
  created_at: Timestamp;
  expires_at: Timestamp;
  used_at: Timestamp | null;
}

/** Every approver-key set that was ever signed; the newest is in force. */
export interface ApproverKeySetsTable {
  version: number;
  token: string;
  issued_at: Timestamp;
}

export interface PolicyVersionsTable {
  version: string;
  content: JsonText;
  first_seen_at: Timestamp;
}

export interface ChallengesTable {
  id: string;
  user_code: string;
  host_id: string;
  hostname: string;
  username: string;
  nonce: string;
  /** Canonical JSON of the host record, byte for byte what was hashed. */
  record: JsonText;
  request_hash: string;
  status: 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled';
  created_at: Timestamp;
  expires_at: Timestamp;
  /** The host is gone when this passes without a new poll. */
  lease_until: Timestamp;
  policy_version: string;
  policy_rule: string;
  /** JSON of PolicyOutcome at creation. */
  policy: JsonText;
  decided_at: Timestamp | null;
  decided_by: string | null;
  decided_by_name: string | null;
  class: 'passkey' | 'session' | 'grace' | 'policy' | null;
  reason: string | null;
  /** Compact JWS; null while pending. */
  verdict: string | null;
  /** Approver-key set in force at the decision. */
  approver_keys_version: number | null;
  outcome: 'granted' | 'refused' | null;
  outcome_detail: string | null;
  outcome_at: Timestamp | null;
  /** What sudo did with the command, as far as its host has told. */
  run_state: 'started' | 'ended' | 'refused' | null;
  /** When the host told that it started; null when it told only the end. */
  run_started_at: Timestamp | null;
  /** When the host told the end, or that sudo did not start it. */
  run_ended_at: Timestamp | null;
  run_exit_status: number | null;
  /** `SIGKILL`, … */
  run_signal: string | null;
  /** By the clock of the host. */
  run_duration_ms: number | null;
  /** Why sudo did not start it, with what cannot be seen made visible. */
  run_reason: string | null;
  /** The grant by which its host released it before it told of it, a JWS; null: its host asked. */
  offline_grant: string | null;
  offline_granted_at: Timestamp | null;
  /** By the clock of the host; that it was told is `created_at`. */
  offline_used_at: Timestamp | null;
}

/** What the newest grants of an account on a host rest on, as long as one of them may count. */
export interface OfflineGrantsTable {
  host_id: string;
  username: string;
  policy_version: string;
  /** The highest of theirs. */
  sequence: number;
  live_until: Timestamp;
}

/** Single-use codes that turn a browser sign-in into a desktop session (loopback redirect, PKCE). */
export interface DesktopGrantsTable {
  code_hash: string;
  person_id: string;
  code_challenge: string;
  redirect_uri: string;
  auth_time: Timestamp;
  expires_at: Timestamp;
  /** The provider's session behind the browser session that allowed it. */
  provider_sid: string | null;
}

/** Logout tokens of the identity provider that were used, until they are too old to be used again. */
export interface LogoutTokensTable {
  jti_hash: string;
  expires_at: Timestamp;
}

/**
 * One row for the directory. Locked by every writer of numbers, names or stamps. The counts let a lost row be noticed:
 * a number that nobody remembers would be given away again.
 */
export interface DirectoryStateTable {
  id: 1;
  /** Grows with every change of numbers or names. */
  generation: number;
  next_uid: number;
  next_gid: number;
  uid_count: number;
  gid_count: number;
  /** `separate`: imported from an installation where private groups had their own numbers. */
  upg_policy: 'match' | 'separate';
  /** Grows with every change of stamps. */
  stamp_generation: number;
  /** Highest update sequence number given to an entry. */
  usn: number;
}

/** Which number belongs to whom, for ever. A user has a uid, and a gid for the private group; a group has a gid. */
export interface DirectoryIdsTable {
  kind: 'uid' | 'gid';
  number: number;
  owner: 'user' | 'group';
  issuer: string;
  subject: string;
  /** The name it had last; display. */
  name: string;
  assigned_at: Timestamp;
  /** Set while the source does not know the owner. The number stays theirs. */
  retired_at: Timestamp | null;
}

/** Which name belongs to whom. Users and groups share one name space, because of private groups. */
export interface DirectoryNamesTable {
  name: string;
  owner: 'user' | 'group';
  issuer: string;
  subject: string;
  since: Timestamp;
  /** Since when the owner no longer uses it. */
  left_at: Timestamp | null;
}

/** When an entry last changed, by entryUUID. */
export interface DirectoryStampsTable {
  uuid: string;
  hash: string;
  created_at: Timestamp;
  modified_at: Timestamp;
  usn: number;
}

/** The snapshot that hosts see, kept for restarts and to compare the next one with. */
export interface DirectoryPublishedTable {
  id: 1;
  source: string;
  hash: string;
  /** gzip of the snapshot's JSON, base64. */
  content: string;
  /** HMAC-SHA256 with a key from outside the database: who can write here cannot make root. */
  mac: string;
  published_at: Timestamp;
  fetched_at: Timestamp;
}

/** Changes that wait for an operator, and what the operator said. */
export interface DirectoryHoldsTable {
  id: string;
  /** Digest of exactly what the operator saw; another change of the same thing is another hold. */
  digest: string;
  kind: 'power_member' | 'power_name' | 'new_host' | 'host_report' | 'power_rule' | 'binding' | 'mass_change';
  subject: string;
  detail: JsonText;
  state: 'open' | 'confirmed' | 'rejected';
  held_at: Timestamp;
  decided_at: Timestamp | null;
  decided_by: string | null;
}

export interface SudoRulesTable {
  id: string;
  name: string;
  /** Starts at 1 and grows with every change: optimistic locking. */
  revision: number;
  rule: JsonText;
  created_at: Timestamp;
  created_by: string;
  updated_at: Timestamp;
  updated_by: string;
}

/** A client that may push people over SCIM, bound to one issuer. */
export interface ScimClientsTable {
  id: string;
  name: string;
  issuer: string;
  token_hash: string;
  /** Space-separated: `sudo:write`. */
  scopes: string;
  created_at: Timestamp;
  created_by: string;
  expires_at: Timestamp;
  last_used_at: Timestamp | null;
  revoked_at: Timestamp | null;
}

/** Users and groups as a SCIM client gave them. */
export interface ScimResourcesTable {
  id: string;
  client_id: string;
  kind: 'User' | 'Group';
  external_id: string | null;
  /** userName or displayName, folded: unique among the live ones of a client. */
  unique_name: string;
  resource: JsonText;
  version: number;
  created_at: Timestamp;
  modified_at: Timestamp;
  deleted_at: Timestamp | null;
}

/** A way to tell somebody. Known by its name, which stays: what was sent is listed under it. */
export interface NotifyChannelsTable {
  name: string;
  kind: string;
  /** What its kind needs. May hold an address that is a secret. */
  settings: JsonText;
  /** The one person whom it reaches; null: it is shared. */
  owner: string | null;
  enabled: Flag;
  /** What is for it waits. */
  paused: Flag;
  /** Most attempts a minute. */
  per_minute: number;
  /** Most attempts at a time. */
  at_once: number;
  /** When so many of a kind wait, one stands for the others; 0: never. */
  fold_from: number;
  /** Starts at 1 and grows with every change: optimistic locking. */
  revision: number;
  created_at: Timestamp;
  created_by: string;
  updated_at: Timestamp;
  updated_by: string;
}

/** Which events go to which shared channels. */
export interface NotifyRoutesTable {
  id: string;
  rule: JsonText;
  enabled: Flag;
  revision: number;
  created_at: Timestamp;
  created_by: string;
  updated_at: Timestamp;
  updated_by: string;
}

/** Of what a person wants to be told, and when not. */
export interface NotifyPreferencesTable {
  person_id: string;
  preferences: JsonText;
  updated_at: Timestamp;
}

/** What is to be told once: an event, on a channel, to a person. What is told stands in the event alone, and is erased with it. */
export interface NotifyDeliveriesTable {
  /** The same on every attempt; follows from what is told, on which channel, to whom. */
  id: string;
  /** Number of the event; null: a test. */
  seq: number | null;
  event: string;
  channel: string;
  /** The person whose channel it is; empty: it is shared. */
  person: string;
  /** 0: at once; others are later steps, while nobody has answered. */
  step: number;
  /** The request that it announces: of no use once that is over. Null: it announces none. */
  announces: string | null;
  /** What has the same is told together when there is too much of it. */
  fold_key: string;
  /** By which rules it is told. */
  because: JsonText;
  status: 'queued' | 'delivered' | 'skipped' | 'folded' | 'dead' | 'discarded';
  attempts: number;
  /** After so many more it is a dead letter. */
  attempts_left: number;
  /** Not before this. */
  due_at: Timestamp;
  created_at: Timestamp;
  ended_at: Timestamp | null;
  /** Why the last attempt failed, or why there was none. */
  reason: string | null;
  /** The delivery that stands for this one. */
  folded_into: string | null;
}

/** Each attempt to deliver. */
export interface NotifyAttemptsTable {
  delivery_id: string;
  number: number;
  at: Timestamp;
  took_ms: number;
  outcome: 'delivered' | 'later' | 'refused';
  reason: string | null;
  /** What was said and answered, without secrets; null: nothing was, or it is of an earlier version. */
  exchange: JsonText | null;
}

/** What a host says of its break-glass password, and what is wanted of it. */
export interface BreakGlassHostsTable {
  host_id: string;
  enabled: number;
  /** When the password was made; null: the host has none. */
  created_at: Timestamp | null;
  type: string | null;
  /** Which of the kept ones it is; null: none of them. */
  escrow_id: string | null;
  problem: string | null;
  reported_at: Timestamp | null;
  /** One that was made before this is to be replaced. */
  rotate_before: Timestamp | null;
  /** Hash of the last use that was reported: the next one names it. */
  journal_hash: string | null;
}

/** Uses of break-glass passwords that were reported: each is taken once. */
export interface BreakGlassUsesTable {
  id: string;
  host_id: string;
  at: Timestamp;
}

/** Break-glass passwords that are kept. */
export interface EscrowRecordsTable {
  /** Made by the host. */
  id: string;
  host_id: string;
  type: string;
  created_at: Timestamp;
  kept_at: Timestamp;
  backend: string;
  /** Where it is, as the backend says. */
  location: JsonText;
}

/** Who waits for a second person before a break-glass password is shown. Gone once it is over. */
export interface RevealRequestsTable {
  id: string;
  host_id: string;
  reason: string;
  /** Of `people`. */
  asker_id: string;
  /** What the person is called. */
  asker: string;
  asked_at: Timestamp;
  expires_at: Timestamp;
  /** Null: nobody has confirmed it. Never the one who asked. */
  confirmer_id: string | null;
  confirmer: string | null;
  confirmed_at: Timestamp | null;
  /** When the password was shown: once. */
  shown_at: Timestamp | null;
}

/** Work that one process does for all of them. */
export interface LeasesTable {
  /** `job …` or `reader …`. */
  name: string;
  /** The process that has it: a name that it made up when it started. */
  holder: string;
  /** Grows with each new holder: what an earlier one still tries to write is refused by it. */
  fence: number;
  /** When it runs out unless it is renewed, milliseconds. */
  until: number;
}

/** How far a reader of the event log has come. */
export interface EventCursorsTable {
  reader: string;
  /** The newest event that it has dealt with. */
  seq: number;
  /** When it came that far, milliseconds. */
  moved_at: number;
  /** Why it does not get on; null when it does. */
  problem: string | null;
  /** What went wrong last, also once it gets on again; null when nothing ever did. */
  failure: string | null;
  /** When that was. */
  failed_at: Timestamp | null;
  /** 1 while what is wrong is for an operator to mend. */
  paused: Flag;
  /** Of an audit sink: when its receiver last took an event; null: never since that is noted. */
  delivered_at: Timestamp | null;
}

/** Events that the receiver of an audit sink refuses for good. They stay in the log; here is that they have to go out yet. */
export interface AuditDeadLettersTable {
  sink: string;
  seq: number;
  /** Why it was refused. */
  reason: string;
  /** When. */
  at: Timestamp;
  /** 1: an operator wants it to be tried again. */
  retry: Flag;
}

/** What was read of the log within the last minute or so, and is not told yet. */
export interface AuditReadsTable {
  /** SHA-256 of `about`: who read, and what was asked for. */
  digest: string;
  /** The event that tells of it, but for the numbers. */
  about: JsonText;
  /** When it was told last; 0: never. */
  told_at: Timestamp;
  /** How often it was read since, and how many rows that were. */
  reads: number;
  rows: number;
}

/** To whom a request was shown while they could decide it. */
export interface RequestsShownTable {
  challenge_id: string;
  person_id: string;
}

/** The last time that each server found that it can write. */
export interface StorageProbesTable {
  /** What the process is called. */
  holder: string;
  /** Milliseconds. */
  at: number;
}

/** Names that have proved to know their password when they bound to the directory from an address. */
export interface BindProofsTable {
  /** HMAC of address and name. */
  digest: string;
  /** Days since 1970. */
  proved_on: number;
}

export interface Schema {
  leases: LeasesTable;
  storage_probes: StorageProbesTable;
  event_cursors: EventCursorsTable;
  audit_dead_letters: AuditDeadLettersTable;
  audit_reads: AuditReadsTable;
  meta: MetaTable;
  events: EventsTable;
  event_head: EventHeadTable;
  event_erasures: EventErasuresTable;
  log_heads: LogHeadsTable;
  log_epochs: LogEpochsTable;
  log_disputes: LogDisputesTable;
  hosts: HostsTable;
  host_reports: HostReportsTable;
  host_authorities: HostAuthoritiesTable;
  host_checks: HostChecksTable;
  host_journals: HostJournalsTable;
  enrolment_tokens: EnrolmentTokensTable;
  host_nonces: HostNoncesTable;
  people: PeopleTable;
  account_bindings: AccountBindingsTable;
  account_claims: AccountClaimsTable;
  sessions: SessionsTable;
  login_attempts: LoginAttemptsTable;
  passkeys: PasskeysTable;
  ceremonies: CeremoniesTable;
  break_glass_hosts: BreakGlassHostsTable;
  break_glass_uses: BreakGlassUsesTable;
  escrow_records: EscrowRecordsTable;
  reveal_requests: RevealRequestsTable;
  recovery_codes: RecoveryCodesTable;
  approver_key_sets: ApproverKeySetsTable;
  policy_versions: PolicyVersionsTable;
  challenges: ChallengesTable;
  requests_shown: RequestsShownTable;
  offline_grants: OfflineGrantsTable;
  desktop_grants: DesktopGrantsTable;
  logout_tokens: LogoutTokensTable;
  directory_state: DirectoryStateTable;
  directory_ids: DirectoryIdsTable;
  directory_names: DirectoryNamesTable;
  directory_stamps: DirectoryStampsTable;
  directory_published: DirectoryPublishedTable;
  directory_holds: DirectoryHoldsTable;
  sudo_rules: SudoRulesTable;
  scim_clients: ScimClientsTable;
  bind_proofs: BindProofsTable;
  scim_resources: ScimResourcesTable;
  notify_channels: NotifyChannelsTable;
  notify_routes: NotifyRoutesTable;
  notify_preferences: NotifyPreferencesTable;
  notify_deliveries: NotifyDeliveriesTable;
  notify_attempts: NotifyAttemptsTable;
}
