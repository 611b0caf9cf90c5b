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
    signedOut: (name) => `${name} (abgemeldet)`,
    waiting: (name, n) => `${name} (${n})`,
    offline: (name, why) => `${name} (${why})`,
    toggles: {
      background: 'Beim Schließen im Hintergrund bleiben',
      autostart: 'Beim Anmelden starten',
      hideCommand: 'Befehle in Benachrichtigungen verbergen',
    },
  },
  tray: {
    waiting: (n) => (n === 0 ? 'Nichts wartet' : waiting(n)),
    request: (who, command, host) => `${who}: ${command} (${host})`,
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
  },
  close: {
    question: 'Soll identree im Hintergrund weiterlaufen?',
    detail: 'Sie erfahren dann weiter von Anfragen, die warten. Im Menü lässt sich das später ändern.',
    yes: 'Weiterlaufen lassen',
    no: 'Beenden',
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
      `Dem Zertifikat von ${host} ist nicht zu trauen. Dorthin wird nichts gesendet. Sagen Sie es denen, die ihn betreiben.`,
    other_certificate: (host) =>
      `${host} zeigt ein anderes Zertifikat als das, dem Sie zugestimmt haben. Dorthin wird nichts gesendet. Fragen Sie, wer den Server betreibt; wurde es mit Absicht ersetzt, entfernen Sie den Server und fügen ihn neu hinzu.`,
    unavailable: () => 'Der Server ist außer Betrieb, oder etwas anderes antwortet an seiner Stelle.',
  },
  setup: {
    connect: 'Mit dem Server verbinden',
    connectAnother: 'Server hinzufügen',
    administrator: 'Die Adresse bekommen Sie von Ihrer Administration.',
    address: 'Adresse des Servers',
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
        'Ihre Sitzung wird nicht behalten.',
        'Auf diesem Computer läuft kein Schlüsselbund (GNOME-Schlüsselbund oder KWallet), der sie sicher verwahren könnte: Sie bleibt im Speicher, und Sie melden sich bei jedem Start von identree neu an.',
      ],
      refuses: [
        'Ihre Sitzung wird nicht behalten.',
        'Der Schlüsselbund dieses Computers ist gesperrt oder antwortet nicht: Die Sitzung bleibt im Speicher, und Sie melden sich bei jedem Start von identree neu an.',
      ],
    },
    certificate: {
      title: 'Ist das Ihr Server?',
      notTrusted: [
        'Dieser Computer vertraut dem Zertifikat von ',
        ' nicht. Vergleichen Sie es mit dem, was Sie von Ihrer Administration wissen.',
      ],
      authority: ['Die Zertifizierungsstelle, die Sie gewählt haben, steht für ', ' ein. Ab jetzt gilt nur sie.'],
      trusted: ['Dieser Computer vertraut dem Zertifikat von ', '.'],
      chosen: 'Zertifizierungsstelle',
      certificate: 'Zertifikat',
      agreed: 'Vereinbartes Zertifikat',
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
        not_its_authority: 'Diese Stelle steht nicht für das Zertifikat dieses Servers ein.',
      },
    },
    nameAndColour: 'Name und Farbe',
    name: 'Name',
    colour: 'Farbe',
    save: 'Speichern',
    remove: 'Diesen Server entfernen',
    removeNote: 'Sie werden dort abgemeldet, und der Name wird vergessen. Auf dem Server ändert sich nichts.',
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
    },
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
  files: {
    authorityFile: 'Zertifikat der Zertifizierungsstelle',
    certificateFiles: 'Zertifikate (PEM)',
  },
  errors: {
    noBrowser: ['Kein Browser', 'Die Seite ließ sich nicht in Ihrem Browser öffnen.'],
    notSaved: ['Nicht gespeichert', 'Die Liste Ihrer Server ließ sich auf diesem Computer nicht speichern.'],
  },
};
