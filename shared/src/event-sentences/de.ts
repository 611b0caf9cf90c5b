import type { EventName } from '../events.ts';

/** Each event in one sentence, in German. */
export const de: Record<EventName, string> = {
  server_initialized: 'Das Ereignisprotokoll begann.',
  server_started: 'Ein Serverprozess ist gestartet.',
  log_key_created: 'Der Schlüssel, der die Köpfe des Ereignisprotokolls signiert, wurde erzeugt oder ersetzt.',
  log_epoch_started:
    '{actor} ließ das Ereignisprotokoll von einer Sicherung aus weitergehen{hasReason, select, yes { („{reason}“)} other {}}; Hosts geben auf, was sie darüber hinaus gesehen haben.',
  audit_dead_letters_retried:
    '{actor} lässt {count, plural, one {# Ereignis} other {# Ereignisse}} erneut zustellen, die {hasSink, select, yes {das Audit-Ziel {sink}} other {ein Audit-Ziel}} abgelehnt hatte.',
  audit_erased:
    'Der Inhalt von {count, plural, one {# Ereignis} other {# Ereignissen}}, deren Zeit abgelaufen war, wurde archiviert und gelöscht.',
  audit_read:
    '{actor} hat {what, select, export {das Ereignisprotokoll exportiert} evidence {den Nachweis einer Anfrage geholt} requests {Anfragen gelesen} other {das Ereignisprotokoll gelesen}}{hasRows, select, yes { ({rows, plural, one {# Zeile} other {# Zeilen}})} other {}}.',
  host_log_contradicted:
    'Der Host {hostname} hat ein Ereignisprotokoll gesehen, das dieses nicht fortsetzt; er lehnt Entscheidungen ab.',
  host_log_followed: 'Der Host {hostname} folgt dem Ereignisprotokoll wieder.',
  host_journal_contradicted:
    'Das Journal des Hosts {hostname} über {journal, select, breakGlass {Verwendungen seines Notfallpassworts} offlineGrants {das, was er mit Offline-Erlaubnissen ausgeführt hat,} other {das, was er ohne Server getan hat,}} ist nicht das, das vorher gesehen wurde{problem, select, went_back {: es ist kürzer} forked {: was gesehen wurde, steht nicht darin} gap {: ein Teil davon lässt sich nicht mehr zeigen} unreadable {: es ist nicht lesbar} other {}}.',
  host_journal_followed:
    'Das Journal des Hosts {hostname} über {journal, select, breakGlass {Verwendungen seines Notfallpassworts} offlineGrants {das, was er mit Offline-Erlaubnissen ausgeführt hat,} other {das, was er ohne Server getan hat,}} setzt wieder fort, was davon gesehen wurde.',
  host_journal_accepted:
    '{actor} nimmt das Journal des Hosts {hostname} über {journal, select, breakGlass {Verwendungen seines Notfallpassworts} offlineGrants {das, was er mit Offline-Erlaubnissen ausgeführt hat,} other {das, was er ohne Server getan hat,}} so an, wie es jetzt ist.',
  policy_changed:
    'Eine andere Freigaberichtlinie gilt{hasReason, select, yes {, und sie hat einen Fehler: {reason}} other {}}.',
  host_enrolled:
    'Der Host {hostname} hat sich {with, select, token {mit einem Token} other {mit dem gemeinsamen Geheimnis}} angemeldet{state, select, waiting { und wartet auf einen Administrator} other {}}.',
  host_confirmed:
    '{actor} hat {from, select, quarantined {den Host {hostname} aus der Quarantäne entlassen} other {den Schlüssel des Hosts {hostname} bestätigt}}.',
  host_group_changed:
    '{actor} hat den Host {hostname} {hasTo, select, yes {in die Gruppe {to} gesetzt} other {aus seiner Gruppe genommen}}.',
  host_reported: 'Der Host {hostname} meldet, dass sich geändert hat, was auf ihm Macht gibt, oder seine Schranke.',
  host_quarantined:
    'Die Identität des Hosts {hostname} wurde an zwei Orten gesehen; er wartet auf einen Administrator.',
  host_removed: '{actor} hat den Host {hostname} widerrufen.',
  enrolment_token_created: '{actor} hat ein Anmeldetoken für den Host {hostname} erzeugt.',
  certificate_issued: 'Der Host {hostname} hat ein Zertifikat erhalten.',
  host_request_refused:
    'Eine Anfrage {hasHostname, select, yes {des Hosts {hostname}} other {im Namen eines Hosts}} wurde abgelehnt{hasRefusal, select, yes { ({refusal})} other {}}.',
  breakglass_escrowed: 'Das Notfallpasswort des Hosts {hostname} wurde hinterlegt.',
  rotated_breakglass: 'Der Host {hostname} hat ein anderes Notfallpasswort.',
  breakglass_rotation_requested: '{actor} hat ein anderes Notfallpasswort des Hosts {hostname} verlangt.',
  breakglass_reveal_requested:
    '{actor} möchte das Notfallpasswort des Hosts {hostname} sehen{hasReason, select, yes { („{reason}“)} other {}}.',
  breakglass_reveal_confirmed:
    '{actor} hat bestätigt, dass {hasAskedBy, select, yes {{askedBy}} other {ein anderer Administrator}} das Notfallpasswort des Hosts {hostname} sieht.',
  breakglass_reveal_refused:
    '{actor} wurde das Notfallpasswort des Hosts {hostname} nicht gezeigt{hasRefusal, select, yes { ({refusal})} other {}}.',
  revealed_breakglass:
    '{actor} hat das Notfallpasswort des Hosts {hostname} gesehen{hasReason, select, yes { („{reason}“)} other {}}.',
  break_glass_used:
    '{username} kam auf dem Host {hostname} mit dem Notfallpasswort hinein, während kein Server antwortete.{gap, select, yes { Etwas, das er davor aufschrieb, wurde nie gemeldet.} other {}}',
  break_glass_refused:
    'Für {username} wurde auf dem Host {hostname} ein falsches Notfallpasswort eingegeben.{gap, select, yes { Etwas, das er davor aufschrieb, wurde nie gemeldet.} other {}}',
  challenge_created:
    '{username} bittet auf {hostname} um eine Freigabe{hasReason, select, yes { („{reason}“)} other {}}; der Code ist {code}.',
  challenge_shown:
    '{hasActor, select, yes {{actor}} other {Jemand}} bekam die Anfrage {code} von {username} auf {hostname} gezeigt, {where, select, console {in der Konsole} other {auf der Freigabeseite}}.',
  auto_approved:
    'Die Anfrage {code} von {username} auf {hostname} wurde ohne einen Menschen freigegeben, durch Richtlinie oder Karenz.',
  challenge_approved:
    '{hasActor, select, yes {{actor} hat die Anfrage {code} von {username} auf {hostname} freigegeben} other {Die Anfrage {code} von {username} auf {hostname} wurde freigegeben}}{hasReason, select, yes { („{reason}“)} other {}}.',
  challenge_rejected:
    '{hasActor, select, yes {{actor} hat die Anfrage {code} von {username} auf {hostname} abgelehnt} other {Die Anfrage {code} von {username} auf {hostname} wurde abgelehnt}}{hasReason, select, yes { („{reason}“)} other {}}.',
  challenge_expired: 'Niemand hat die Anfrage {code} von {username} auf {hostname} rechtzeitig beantwortet.',
  challenge_cancelled:
    'Die Anfrage {code} von {username} auf {hostname} wurde zurückgezogen{hasReason, select, yes { ({reason})} other {}}.',
  grant_used_offline:
    'Der Host {hostname} hat für einen Befehl von {username} eine Offline-Erlaubnis genutzt und es gemeldet; der Code ist {code}.{problem, select, another_request { Was er ausgeführt haben will, ist nicht, was erlaubt war.} outside_its_time { Nach seiner Uhr war es nicht die Zeit der Erlaubnis.} other {}}{gap, select, yes { Etwas, das er davor aufschrieb, wurde nie gemeldet.} other {}}',
  challenge_outcome:
    'Der Host {hostname} hat zur Anfrage {code} von {username} {outcome, select, granted {den Befehl oder die Anmeldung freigegeben} refused {die Freigabe verweigert} other {gemeldet, was er mit der Antwort tat}}.',
  challenge_run:
    'Der Befehl der Anfrage {code} von {username} auf {hostname} {state, select, started {ist gestartet} ended {{hasSignal, select, yes {ist beendet, durch {signal}} other {{hasExitStatus, select, yes {ist beendet, mit Status {exitStatus}} other {ist für sudo nicht mehr zu sehen}}}}} refused {wurde von sudo nicht gestartet} other {ging weiter}}.',
  decision_refused:
    '{hasActor, select, yes {{actor}} other {Jemand}} wollte {hasCode, select, yes {die Anfrage {code} von {username}} other {eine Anfrage}} entscheiden und wurde abgewiesen{hasRefusal, select, yes { ({refusal})} other {}}.',
  user_logged_in: '{username} hat sich {kind, select, desktop {mit der Desktop-App} other {im Browser}} angemeldet.',
  user_logged_out: '{username} hat sich abgemeldet.',
  login_failed: 'Eine Anmeldung schlug fehl{hasReason, select, yes {: {reason}} other {}}.',
  session_revoked:
    'Eine Sitzung von {username} wurde beendet{hasActor, select, yes {, von: {actor}} other {, von der Person selbst}}{hasReason, select, yes { ({reason})} other {}}.',
  account_bound:
    '{hasActor, select, yes {{actor} hat einer Person das Linux-Konto {username} gegeben} other {Das Linux-Konto {username} wurde mit der Person dieses Namens verbunden}}.',
  account_binding_held:
    'Eine Person beansprucht das Linux-Konto {username}, das jemand anderem gehört; ein Administrator muss hinsehen.',
  account_binding_rejected: '{actor} hat das Linux-Konto {username} bei seinem Besitzer gelassen.',
  passkey_added: '{username} hat einen Passkey hinzugefügt.',
  passkey_renamed: '{username} hat einen Passkey umbenannt.',
  passkey_removed: 'Ein Passkey von {username} wurde entfernt.',
  recovery_code_created: '{actor} hat einen Wiederherstellungscode für {username} erzeugt.',
  approver_keys_waiting: 'Eine Änderung der Passkeys wartet auf die Signatur des Vertrauensankers, der offline ist.',
  ca_rotation_begun: '{actor} hat eine weitere Zertifizierungsstelle für Hosts erzeugt; noch signiert die alte.',
  ca_activated: '{actor} lässt die neue Zertifizierungsstelle Zertifikate von Hosts signieren.',
  ca_rotation_finished: '{actor} hat die alte Zertifizierungsstelle für Hosts beendet.',
  trust_root_detached: 'Der Vertrauensanker wurde{hasActor, select, yes { von {actor}} other {}} vom Server genommen.',
  approver_keys_published: 'Eine neue Liste der Schlüssel, die freigeben dürfen, wurde signiert.',
  directory_published: 'Hosts sehen ein anderes Verzeichnis: Personen, Gruppen oder ihre Angaben haben sich geändert.',
  directory_numbers_changed:
    'Nummern von Benutzern oder Gruppen wurden geändert{hasActor, select, yes {, von: {actor}} other {}}{hasReason, select, yes { ({reason})} other {}}.',
  directory_number_adopted: '{actor} hat {username} die Nummern eines Kontos gegeben, das es nicht mehr gibt.',
  directory_change_held: 'Eine Änderung des Verzeichnisses, die Macht geben könnte, wartet auf einen Administrator.',
  directory_change_confirmed: '{actor} hat eine zurückgehaltene Änderung des Verzeichnisses zugelassen.',
  directory_change_rejected: '{actor} hat eine zurückgehaltene Änderung des Verzeichnisses abgelehnt.',
  directory_name_released: '{actor} hat den Namen {username} freigegeben, den sein früherer Besitzer verlassen hat.',
  sudo_rule_modified:
    '{actor} hat die Sudo-Regel {name} {reason, select, created {angelegt} removed {entfernt} deleted {entfernt} imported {importiert} other {geändert}}.',
  scim_client_created: '{actor} hat das SCIM-Token {name} erzeugt.',
  scim_client_revoked: '{actor} hat das SCIM-Token {name} widerrufen.',
  scim_resource_changed: '{actor} hat {kind, select, Group {die Gruppe} other {den Benutzer}} {name} geändert.',
  notification_channel_added: '{actor} hat den Benachrichtigungskanal {name} eingerichtet.',
  notification_channel_changed:
    '{actor, select, receiver {Der Empfänger kennt die Adresse nicht mehr: der Benachrichtigungskanal {name} ist abgeschaltet} other {{actor} hat den Benachrichtigungskanal {name} geändert}}.',
  notification_channel_deleted:
    '{actor, select, receiver {Der Empfänger kennt die Adresse nicht mehr: der Benachrichtigungskanal {name} wurde entfernt} other {{actor} hat den Benachrichtigungskanal {name} entfernt}}.',
  notification_route_added: '{actor} hat eine Regel für Benachrichtigungen angelegt.',
  notification_route_changed: '{actor} hat eine Regel für Benachrichtigungen geändert.',
  notification_route_deleted: '{actor} hat eine Regel für Benachrichtigungen entfernt.',
  notification_preferences_changed: '{username} hat gewählt, wovon sie oder er benachrichtigt wird.',
  notification_dead_letters_retried:
    '{actor} lässt {count, plural, one {# aufgegebene Benachrichtigung} other {# aufgegebene Benachrichtigungen}} erneut senden.',
  notification_dead_letters_discarded:
    '{actor} hat {count, plural, one {# aufgegebene Benachrichtigung} other {# aufgegebene Benachrichtigungen}} verworfen.',
};
