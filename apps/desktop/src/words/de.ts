import type { Words } from './catalogue.ts';
import { plural } from './plural.ts';

const waiting = plural('de', { one: (n) => `${n} Anfrage wartet`, other: (n) => `${n} Anfragen warten` });

/** Every text of the shell itself, in German. */
export const de: Words = {
  menu: {
    addServer: 'Server hinzufügen …',
    nameAndColour: 'Name und Farbe …',
    signOut: 'Abmelden',
    quit: 'Beenden',
    servers: 'Server',
    view: 'Ansicht',
    edit: 'Bearbeiten',
    undo: 'Rückgängig',
    redo: 'Wiederholen',
    cut: 'Ausschneiden',
    copy: 'Kopieren',
    paste: 'Einfügen',
    selectAll: 'Alles auswählen',
    reload: 'Neu laden',
    actualSize: 'Originalgröße',
    zoomIn: 'Vergrößern',
    zoomOut: 'Verkleinern',
    fullScreen: 'Vollbild',
    signedOut: (name) => `${name} (abgemeldet)`,
    noted: (name, notes) => `${name} (${notes.join(', ')})`,
    toggles: {
      background: 'Beim Schließen im Hintergrund bleiben',
      autostart: 'Beim Anmelden starten',
      hideCommand: 'Befehle in Benachrichtigungen verbergen',
    },
  },
  tray: {
    waiting: (n) => (n === 0 ? 'Nichts wartet' : waiting(n)),
    request: (who, command, where) => `${who}: ${command} (${where.join(' · ')})`,
    more: (n) => `${n} weitere …`,
    notReached: (name) => `${name} ist nicht erreichbar`,
    pausedUntil: (time) => `Benachrichtigungen ruhen bis ${time}`,
    open: 'identree öffnen',
    pause: 'Benachrichtigungen eine Stunde ruhen lassen',
    resume: 'Wieder benachrichtigen',
  },
  notification: {
    asks: (who, host) => `${who} bittet um root auf ${host}`,
    left: (time) => `noch ${time}`,
    review: 'Ansehen',
    deny: 'Ablehnen',
    notDenied: (code) => `${code} wurde nicht abgelehnt`,
    maybeDenied: (code) => `Keine Antwort: ob ${code} abgelehnt wurde, ist nicht bekannt`,
  },
  close: {
    question: 'Soll identree im Hintergrund weiterlaufen?',
    detail: 'Sie erfahren dann weiter von Anfragen, die warten. Im Menü lässt sich das später ändern.',
    yes: 'Weiterlaufen lassen',
    no: 'Beenden',
  },
  remove: {
    question: (name) => `${name} entfernen?`,
    detail: (address) =>
      `${address}\n\nSie werden dort abgemeldet, und was dieser Computer von dem Server aufbewahrt, wird vergessen. Auf dem Server ändert sich nichts.`,
    yes: 'Entfernen',
    no: 'Abbrechen',
  },
  offline: {
    no_network: 'kein Netz',
    name_not_found: 'Name nicht gefunden',
    unreachable: 'antwortet nicht',
    certificate: 'Zertifikat nicht vertrauenswürdig',
    other_certificate: 'anderes Zertifikat',
    unavailable: 'außer Betrieb',
  },
  notReached: {
    no_network: () => 'Dieser Computer hat kein Netz. Was Sie sehen, kann veraltet sein.',
    name_not_found: (host) => `Der Name ${host} ist nicht zu finden. Prüfen Sie das Netz oder das VPN, das er braucht.`,
    unreachable: () => 'Der Server antwortet nicht. Was Sie sehen, kann veraltet sein; es wird von selbst nachgeholt.',
    certificate: (host) =>
      `Dem Zertifikat von ${host} ist nicht zu trauen. Dorthin wird nichts gesendet. Sagen Sie es Ihrer Administration.`,
    other_certificate: (host) =>
      `${host} zeigt ein anderes Zertifikat als das, dem Sie zugestimmt haben. Dorthin wird nichts gesendet. Fragen Sie Ihre Administration; wurde es mit Absicht ersetzt, entfernen Sie den Server und fügen ihn neu hinzu.`,
    unavailable: () => 'Der Server ist außer Betrieb, oder etwas anderes antwortet an seiner Stelle.',
  },
  setup: {
    connect: 'Mit dem Server verbinden',
    connectAnother: 'Server hinzufügen',
    administrator: 'Die Adresse bekommen Sie von Ihrer Administration.',
    address: 'Adresse des Servers',
    unreadable: (file: string) => [
      'Ihre Liste der Server ließ sich nicht lesen.',
      `${file} ist beschädigt, oder andere dürfen hineinschreiben. Reparieren Sie die Datei und starten Sie identree neu, oder fügen Sie Ihre Server wieder hinzu: Sie bleibt dann mit .unreadable hinter ihrem Namen erhalten.`,
    ],
    continue: 'Weiter',
    back: 'Zurück',
    signIn: 'Anmelden',
    signInAt: ['Sie melden sich im Browser bei ', ' an.'],
    openBrowser: 'Browser öffnen',
    anotherServer: 'Anderen Server verwenden',
    inBrowser: 'Weiter im Browser',
    compare: [
      '',
      ' fragt dort, ob sich dieser Computer anmelden darf. Stimmen Sie nur zu, wenn dort dieser Code steht:',
    ],
    cancel: 'Abbrechen',
    noKeychain: {
      missing: [
        'Ihre Sitzung wird nicht gespeichert.',
        'Auf diesem Computer läuft kein Schlüsselbund (GNOME-Schlüsselbund oder KWallet), der sie sicher verwahren könnte: Sie bleibt im Speicher, und Sie melden sich bei jedem Start von identree neu an.',
      ],
      refuses: [
        'Ihre Sitzung wird nicht gespeichert.',
        'Der Schlüsselbund dieses Computers ist gesperrt oder antwortet nicht: Die Sitzung bleibt im Speicher, und beim nächsten Start melden Sie sich neu an. Entsperren Sie den Schlüsselbund und starten Sie identree neu, damit sie gespeichert wird.',
      ],
    },
    certificate: {
      title: 'Ist das Ihr Server?',
      notTrusted: [
        'Dieser Computer vertraut dem Zertifikat von ',
        ' nicht. Vergleichen Sie es mit dem, was Sie von Ihrer Administration wissen.',
      ],
      authority: ['Die Zertifizierungsstelle, die Sie gewählt haben, bürgt für ', '. Ab jetzt gilt nur sie.'],
      trusted: ['Dieser Computer vertraut dem Zertifikat von ', '.'],
      refused: ['Das Zertifikat von ', ' kann nicht angenommen werden.'],
      certificate: 'Zertifikat',
      agreed: 'Zertifikat, dem Sie zugestimmt haben',
      subject: 'Ausgestellt für',
      names: 'Gilt für',
      issuer: 'Ausgestellt von',
      itself: 'sich selbst',
      validity: 'Gültig',
      until: (from, to) => `${from} bis ${to}`,
      fingerprint: 'SHA-256-Fingerabdruck',
      browser: 'Ihr Browser entscheidet selbst darüber und fragt Sie vielleicht auch.',
      trust: 'Diesem Zertifikat vertrauen',
      trustAuthority: 'Dieser Stelle vertrauen',
      choose: 'Zertifizierungsstelle wählen …',
      chooseOnly: 'Nur einer Stelle vertrauen …',
      faults: {
        other_name:
          'Es wurde für einen anderen Namen ausgestellt. Das ist nicht der Server dieser Adresse, oder er ist falsch eingerichtet.',
        expired: 'Es ist abgelaufen. Wer den Server betreibt, muss es erneuern.',
        not_yet_valid: 'Es gilt noch nicht. Prüfen Sie die Uhr dieses Computers.',
      },
      notices: {
        not_a_certificate: 'Die Datei ist nicht ein einzelnes Zertifikat im PEM-Format.',
        not_its_authority: 'Diese Stelle bürgt nicht für das Zertifikat dieses Servers.',
      },
    },
    nameAndColour: 'Name und Farbe',
    name: 'Name',
    colour: 'Farbe',
    save: 'Speichern',
    remove: 'Diesen Server entfernen …',
    removeNote:
      'Beim Entfernen werden Sie dort abgemeldet, und der Name wird vergessen. Auf dem Server ändert sich nichts.',
    colours: {
      blue: 'Blau',
      teal: 'Türkis',
      green: 'Grün',
      amber: 'Bernstein',
      red: 'Rot',
      pink: 'Rosa',
      violet: 'Violett',
      grey: 'Grau',
    },
    problems: {
      empty: 'Geben Sie die Adresse Ihres Servers ein.',
      not_an_address: 'Das ist nicht die Adresse eines Servers.',
      not_https: 'Die Adresse muss mit https:// beginnen.',
      user_in_address: 'Lassen Sie den Teil vor dem @ weg.',
      too_many: 'Es gibt schon neun Server. Entfernen Sie erst einen.',
      another_site: 'Unter dieser Adresse antwortet etwas, aber kein identree. Prüfen Sie die Adresse.',
      no_tls:
        'Was unter dieser Adresse antwortet, spricht kein TLS (HTTPS), wie es sollte. Prüfen Sie Adresse und Port.',
    },
    errorAnswer: (status) =>
      `Diese Adresse antwortet mit einem Fehler (HTTP ${status}). Prüfen Sie sie; stimmt sie, versuchen Sie es später noch einmal, oder sagen Sie es Ihrer Administration.`,
    nameProblem: 'Geben Sie einen Namen mit höchstens 40 Zeichen ein.',
    notices: {
      session_ended: 'Ihre Sitzung ist beendet. Melden Sie sich neu an.',
      signed_out: 'Sie sind abgemeldet.',
      refused: 'Die Anmeldung wurde im Browser abgelehnt.',
      timed_out: 'Innerhalb von zwei Minuten hat sich niemand angemeldet. Versuchen Sie es noch einmal.',
      cancelled: 'Die Anmeldung wurde abgebrochen.',
      listener_failed:
        'identree durfte auf diesem Computer nicht auf den Browser warten. Versuchen Sie es noch einmal.',
      browser_failed: 'Ihr Browser ließ sich nicht öffnen.',
      certificate_refused: 'Das Zertifikat des Servers wurde abgelehnt. Es wurde nichts dorthin gesendet.',
      server_unreachable:
        'Der Server hat nicht geantwortet. Prüfen Sie Ihre Verbindung und versuchen Sie es noch einmal.',
      server_refused: 'Der Server hat diese Anmeldung nicht angenommen. Versuchen Sie es noch einmal.',
    },
  },
  browser: {
    signedIn: ['Sie sind angemeldet', 'Sie können diese Seite schließen und zum Fenster von identree zurückkehren.'],
    notSignedIn: ['Nicht angemeldet', 'Sie können diese Seite schließen und zum Fenster von identree zurückkehren.'],
    didNotWork: ['Das ging nicht', 'Kehren Sie zum Fenster von identree zurück und beginnen Sie die Anmeldung neu.'],
    anotherSignIn: ['Das ging nicht', 'Diese Anmeldung ist nicht die, die das Fenster von identree begonnen hat.'],
    nothingHere: ['Hier ist nichts', 'Diese Adresse ist nicht zum Ansehen da.'],
  },
  files: {
    authorityFile: 'Zertifikat der Zertifizierungsstelle',
    certificateFiles: 'Zertifikate (PEM)',
  },
  errors: {
    noBrowser: ['Kein Browser', 'Die Seite ließ sich nicht in Ihrem Browser öffnen.'],
    notStarted: [
      'identree startet nicht',
      'Das Programm ist beschädigt, oder eine seiner Dateien ist nicht lesbar. Installieren Sie es neu.',
    ],
    notSaved: [
      'Nicht gespeichert',
      'Ihre Änderung ließ sich auf diesem Computer nicht speichern. Sie gilt, bis identree endet.',
    ],
    settingsUnreadable: (file: string) => [
      'Einstellungen nicht gelesen',
      `${file} ist beschädigt, oder andere dürfen hineinschreiben. Benachrichtigungen zeigen keine Befehle, bis Sie es im Menü anders wählen.`,
    ],
    notEnded: [
      'Sitzung nicht beendet',
      'Sie ließ sich auf diesem Computer nicht löschen, und der Server war nicht zu erreichen, um sie zu beenden. Melden Sie sich nach dem nächsten Start noch einmal ab.',
    ],
  },
};
