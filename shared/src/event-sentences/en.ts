import type { EventName } from '../events.ts';

/** Each event in one sentence. A name of {@link EventName} that is missing does not compile. */
export const en: Record<EventName, string> = {
  server_initialized: 'The event log began.',
  server_started: 'A server process started.',
  log_key_created: 'The key that signs heads of the event log was made or replaced.',
  log_epoch_started:
    '{actor} let the event log go on from a backup{hasReason, select, yes { (“{reason}”)} other {}}; hosts give up what they have seen beyond it.',
  audit_dead_letters_retried:
    '{actor} has {count, plural, one {# event} other {# events}} delivered again that {hasSink, select, yes {the audit sink {sink}} other {an audit sink}} had refused.',
  audit_erased:
    'The payload of {count, plural, one {# event} other {# events}} whose time was over was archived and erased.',
  audit_read:
    '{actor} {what, select, export {exported the event log} evidence {took the evidence of a request} requests {read requests} other {read the event log}}{hasRows, select, yes { ({rows, plural, one {# row} other {# rows}})} other {}}.',
  host_log_contradicted:
    'The host {hostname} has seen an event log that this one does not continue; it refuses decisions.',
  host_log_followed: 'The host {hostname} follows the event log again.',
  host_journal_contradicted:
    'The journal that the host {hostname} keeps of {journal, select, breakGlass {uses of its break-glass password} offlineGrants {what it ran by offline grants} other {what it did without a server}} is not the one that was seen before{problem, select, went_back {: it is shorter} forked {: what was seen is not in it} gap {: a part of it cannot be shown any more} unreadable {: it cannot be read} other {}}.',
  host_journal_followed:
    'The journal that the host {hostname} keeps of {journal, select, breakGlass {uses of its break-glass password} offlineGrants {what it ran by offline grants} other {what it did without a server}} continues what was seen of it again.',
  host_journal_accepted:
    '{actor} takes the journal that the host {hostname} keeps of {journal, select, breakGlass {uses of its break-glass password} offlineGrants {what it ran by offline grants} other {what it did without a server}} as it is now.',
  policy_changed:
    'Another approval policy became active{hasReason, select, yes {, and it has a problem: {reason}} other {}}.',
  host_enrolled:
    'The host {hostname} enrolled {with, select, token {with a token} other {with the enrolment secret}}{state, select, waiting { and waits for an operator} other {}}.',
  host_confirmed:
    '{actor} {from, select, quarantined {released the host {hostname} from quarantine} other {confirmed the key of the host {hostname}}}.',
  host_group_changed:
    '{actor} {hasTo, select, yes {put the host {hostname} into the group {to}} other {took the host {hostname} out of its group}}.',
  host_reported: 'The host {hostname} reported that what gives power on it, or its gate, has changed.',
  host_quarantined: 'The identity of the host {hostname} was seen in two places; it waits for an operator.',
  host_removed: '{actor} revoked the host {hostname}.',
  enrolment_token_created: '{actor} made an enrolment token for the host {hostname}.',
  certificate_issued: 'The host {hostname} was given a certificate.',
  host_request_refused:
    'A request {hasHostname, select, yes {of the host {hostname}} other {in the name of a host}} was refused{hasRefusal, select, yes { ({refusal})} other {}}.',
  breakglass_escrowed: 'The break-glass password of the host {hostname} was put into escrow.',
  rotated_breakglass: 'The host {hostname} has another break-glass password.',
  breakglass_rotation_requested: '{actor} asked for another break-glass password of the host {hostname}.',
  breakglass_reveal_requested:
    '{actor} asked to be shown the break-glass password of the host {hostname}{hasReason, select, yes { (“{reason}”)} other {}}.',
  breakglass_reveal_confirmed:
    '{actor} confirmed that {hasAskedBy, select, yes {{askedBy}} other {another administrator}} is shown the break-glass password of the host {hostname}.',
  breakglass_reveal_refused:
    '{actor} was not shown the break-glass password of the host {hostname}{hasRefusal, select, yes { ({refusal})} other {}}.',
  revealed_breakglass:
    '{actor} was shown the break-glass password of the host {hostname}{hasReason, select, yes { (“{reason}”)} other {}}.',
  break_glass_used:
    '{username} got in on the host {hostname} with its break-glass password while no server answered.{gap, select, yes { Of what it wrote down before, something was never told.} other {}}',
  break_glass_refused:
    'A wrong break-glass password was typed for {username} on the host {hostname}.{gap, select, yes { Of what it wrote down before, something was never told.} other {}}',
  challenge_created:
    '{username} asked for an approval on {hostname}{hasReason, select, yes { (“{reason}”)} other {}}; the code is {code}.',
  challenge_shown:
    '{hasActor, select, yes {{actor}} other {Somebody}} was shown the request {code} of {username} on {hostname} {where, select, console {in the console} other {on the approval page}}.',
  auto_approved: 'The request {code} of {username} on {hostname} was approved without a person, by policy or grace.',
  challenge_approved:
    '{hasActor, select, yes {{actor} approved the request {code} of {username} on {hostname}} other {The request {code} of {username} on {hostname} was approved}}{hasReason, select, yes { (“{reason}”)} other {}}.',
  challenge_rejected:
    '{hasActor, select, yes {{actor} denied the request {code} of {username} on {hostname}} other {The request {code} of {username} on {hostname} was denied}}{hasReason, select, yes { (“{reason}”)} other {}}.',
  challenge_expired: 'Nobody answered the request {code} of {username} on {hostname} in time.',
  challenge_cancelled:
    'The request {code} of {username} on {hostname} was withdrawn{hasReason, select, yes { ({reason})} other {}}.',
  grant_used_offline:
    'The host {hostname} used an offline grant for a command of {username} and told of it; the code is {code}.{problem, select, another_request { What it says it ran is not what was granted.} outside_its_time { By its clock it was not the time of the grant.} other {}}{gap, select, yes { Of what it wrote down before, something was never told.} other {}}',
  challenge_outcome:
    'The host {hostname} {outcome, select, granted {released what {username} had asked for} refused {refused to release what {username} had asked for} other {told what it did with the answer for {username}}} with the request {code}.',
  challenge_run:
    'The command of the request {code} of {username} on {hostname} {state, select, started {started} ended {{hasSignal, select, yes {ended by {signal}} other {{hasExitStatus, select, yes {ended with status {exitStatus}} other {was lost sight of by sudo}}}}} refused {was not started by sudo} other {went on}}.',
  decision_refused:
    '{hasActor, select, yes {{actor}} other {Somebody}} tried to decide {hasCode, select, yes {the request {code} of {username}} other {a request}} and was refused{hasRefusal, select, yes { ({refusal})} other {}}.',
  user_logged_in: '{username} signed in {kind, select, desktop {with the desktop app} other {with a browser}}.',
  user_logged_out: '{username} signed out.',
  login_failed: 'A sign-in failed{hasReason, select, yes {: {reason}} other {}}.',
  session_revoked:
    'A session of {username} was ended{hasActor, select, yes { by {actor}} other { by themselves}}{hasReason, select, yes { ({reason})} other {}}.',
  account_bound:
    '{hasActor, select, yes {{actor} gave a person the Linux account {username}} other {The Linux account {username} was bound to the person of this name}}.',
  account_binding_held:
    'A person claims the Linux account {username}, which belongs to somebody else; an operator must look.',
  account_binding_rejected: '{actor} left the Linux account {username} with its owner.',
  passkey_added: '{username} added a passkey.',
  passkey_renamed: '{username} renamed a passkey.',
  passkey_removed: 'A passkey of {username} was removed.',
  recovery_code_created: '{actor} made a recovery code for {username}.',
  approver_keys_waiting: 'A change of passkeys waits for the signature of the trust root, which is off line.',
  ca_rotation_begun: '{actor} made another authority for certificates of hosts; the old one still signs.',
  ca_activated: '{actor} had the new authority sign certificates of hosts.',
  ca_rotation_finished: '{actor} ended the old authority for certificates of hosts.',
  trust_root_detached: 'The trust root was taken off line{hasActor, select, yes { by {actor}} other {}}.',
  approver_keys_published: 'A new set of approver keys was signed.',
  directory_published: 'Hosts see another directory: people, groups or their claims changed.',
  directory_numbers_changed:
    'Numbers of users or groups were changed{hasActor, select, yes { by {actor}} other {}}{hasReason, select, yes { ({reason})} other {}}.',
  directory_number_adopted: '{actor} gave {username} the numbers of an account that is gone.',
  directory_change_held: 'A change of the directory that could give power waits for an operator.',
  directory_change_confirmed: '{actor} let a held change of the directory through.',
  directory_change_rejected: '{actor} refused a held change of the directory.',
  directory_name_released: '{actor} released the name {username}, which its former owner had left.',
  sudo_rule_modified:
    '{actor} {reason, select, created {made} removed {removed} deleted {removed} imported {imported} other {changed}} the sudo rule {name}.',
  scim_client_created: '{actor} made the SCIM token {name}.',
  scim_client_revoked: '{actor} revoked the SCIM token {name}.',
  scim_resource_changed: '{actor} changed the {kind, select, Group {group} other {user}} {name}.',
  notification_channel_added: '{actor} set up the notification channel {name}.',
  notification_channel_changed:
    '{actor, select, receiver {The receiver no longer knows the address: the notification channel {name} is switched off} other {{actor} changed the notification channel {name}}}.',
  notification_channel_deleted:
    '{actor, select, receiver {The receiver no longer knows the address: the notification channel {name} was removed} other {{actor} removed the notification channel {name}}}.',
  notification_route_added: '{actor} made a rule for notifications.',
  notification_route_changed: '{actor} changed a rule for notifications.',
  notification_route_deleted: '{actor} removed a rule for notifications.',
  notification_preferences_changed: '{username} chose what they are told.',
  notification_dead_letters_retried:
    '{actor} has {count, plural, one {# notification} other {# notifications}} sent again that had been given up.',
  notification_dead_letters_discarded:
    '{actor} discarded {count, plural, one {# notification} other {# notifications}} that had been given up.',
};
