import { plural } from './plural.ts';

const waiting = plural('en', { one: (n) => `${n} request waits`, other: (n) => `${n} requests wait` });

/** Every text of the shell itself, in English. `words/de.ts` must have the same ones, or it does not compile. */
export const en = {
  menu: {
    addServer: 'Add server…',
    nameAndColour: 'Name and colour…',
    signOut: 'Sign out',
    quit: 'Quit',
    servers: 'Servers',
    view: 'View',
    edit: 'Edit',
    undo: 'Undo',
    redo: 'Redo',
    cut: 'Cut',
    copy: 'Copy',
    paste: 'Paste',
    selectAll: 'Select all',
    reload: 'Reload',
    actualSize: 'Actual size',
    zoomIn: 'Zoom in',
    zoomOut: 'Zoom out',
    fullScreen: 'Full screen',
    signedOut: (name: string) => `${name} (signed out)`,
    /** How many wait there, why it is not reached, or both. */
    noted: (name: string, notes: readonly string[]) => `${name} (${notes.join(', ')})`,
    toggles: {
      background: 'Stay in the background when closed',
      autostart: 'Start at login',
      hideCommand: 'Hide commands in notifications',
    },
  },
  tray: {
    waiting: (n: number) => (n === 0 ? 'Nothing waits' : waiting(n)),
    /** @param where the host, and the server where there are several */
    request: (who: string, command: string, where: readonly string[]) => `${who}: ${command} (${where.join(' · ')})`,
    more: (n: number) => `${n} more…`,
    notReached: (name: string) => `${name} is not reached`,
    pausedUntil: (time: string) => `notifications paused until ${time}`,
    open: 'Open identree',
    pause: 'Pause notifications for an hour',
    resume: 'Resume notifications',
  },
  notification: {
    asks: (who: string, host: string) => `${who} asks for root on ${host}`,
    left: (time: string) => `${time} left`,
    review: 'Review',
    deny: 'Deny',
    notDenied: (code: string) => `${code} was not denied`,
    maybeDenied: (code: string) => `No answer: whether ${code} was denied is not known`,
  },
  close: {
    question: 'Keep identree running in the background?',
    detail: 'You go on hearing of requests that wait. You can change this later in the menu.',
    yes: 'Keep running',
    no: 'Quit',
  },
  remove: {
    question: (name: string) => `Remove ${name}?`,
    /** @param address without `https://` */
    detail: (address: string) =>
      `${address}\n\nYou are signed out there, and what this computer keeps of the server is forgotten. Nothing changes on the server.`,
    yes: 'Remove',
    no: 'Cancel',
  },
  /** Why a server is not reached, in a few words. */
  offline: {
    no_network: 'no network',
    name_not_found: 'name not found',
    unreachable: 'does not answer',
    certificate: 'certificate not trusted',
    other_certificate: 'another certificate',
    unavailable: 'out of service',
  },
  /** The same, for the window: what it means and who can mend it. */
  notReached: {
    no_network: (_host: string) => 'This computer has no network. What you see may be old.',
    name_not_found: (host: string) => `The name ${host} is not found. Check the network, or the VPN that it needs.`,
    unreachable: (_host: string) => 'The server does not answer. What you see may be old; it will catch up by itself.',
    certificate: (host: string) =>
      `The certificate of ${host} is not trusted. Nothing is sent there. Tell whoever runs it.`,
    other_certificate: (host: string) =>
      `${host} shows another certificate than the one you agreed to. Nothing is sent there. Ask whoever runs it; if it was replaced on purpose, remove this server and add it again.`,
    unavailable: (_host: string) => 'The server is out of service, or something else answers in its place.',
  },
  setup: {
    connect: 'Connect to your server',
    connectAnother: 'Add a server',
    administrator: 'Your administrator can tell you its address.',
    address: 'Server address',
    unreadable: (file: string) => [
      'Your list of servers could not be read.',
      `${file} is damaged, or others than you may write to it. Mend it and start identree again, or add your servers anew: it is kept then, with .unreadable after its name.`,
    ],
    continue: 'Continue',
    back: 'Back',
    signIn: 'Sign in',
    signInAt: ['You sign in at ', ' in your browser.'],
    openBrowser: 'Open the browser',
    anotherServer: 'Use another server',
    inBrowser: 'Continue in your browser',
    compare: ['', ' asks there whether this computer may sign in. Agree only if it shows this code:'],
    cancel: 'Cancel',
    noKeychain: {
      missing: [
        'Your session is not kept.',
        'No keyring (GNOME Keyring or KWallet) runs on this computer that could keep it safe: it stays in memory, and you sign in again each time you start identree.',
      ],
      refuses: [
        'Your session is not kept.',
        'The keyring of this computer is locked or does not answer: the session stays in memory, and you sign in again at the next start. Unlock the keyring and start identree again to have it kept.',
      ],
    },
    certificate: {
      title: 'Is this your server?',
      notTrusted: [
        'This computer does not trust the certificate of ',
        '. Compare it with what your administrator told you.',
      ],
      authority: ['The authority that you chose vouches for ', '. From now on nothing else does.'],
      trusted: ['This computer trusts the certificate of ', '.'],
      refused: ['The certificate of ', ' cannot be accepted.'],
      certificate: 'Certificate',
      agreed: 'Certificate that you agreed to',
      subject: 'Issued for',
      names: 'Good for',
      issuer: 'Issued by',
      itself: 'itself',
      validity: 'Valid',
      until: (from: string, to: string) => `${from} to ${to}`,
      fingerprint: 'SHA-256 fingerprint',
      browser: 'Your browser decides about it on its own, and may ask you too.',
      trust: 'Trust this certificate',
      trustAuthority: 'Trust this authority',
      choose: 'Choose its authority…',
      chooseOnly: 'Trust one authority only…',
      faults: {
        other_name: 'It was issued for another name. This is not the server of that address, or it was set up wrongly.',
        expired: 'It has expired. Whoever runs the server has to renew it.',
        not_yet_valid: 'It is not valid yet. Check the clock of this computer.',
      },
      notices: {
        not_a_certificate: 'That file is not one certificate in PEM form.',
        not_its_authority: 'That authority does not vouch for the certificate of this server.',
      },
    },
    nameAndColour: 'Name and colour',
    name: 'Name',
    colour: 'Colour',
    save: 'Save',
    remove: 'Remove this server…',
    removeNote: 'Removing it signs you out there and forgets its name. Nothing changes on the server.',
    colours: {
      blue: 'Blue',
      teal: 'Teal',
      green: 'Green',
      amber: 'Amber',
      red: 'Red',
      pink: 'Pink',
      violet: 'Violet',
      grey: 'Grey',
    },
    problems: {
      empty: 'Enter the address of your server.',
      not_an_address: 'This is not the address of a server.',
      not_https: 'The address has to begin with https://.',
      user_in_address: 'Leave out the part before the @.',
      too_many: 'There are nine servers already. Remove one first.',
      another_site: 'Something answers at this address, but it is no identree. Check the address.',
      no_tls: 'What answers at this address does not speak TLS (HTTPS) as it should. Check the address and its port.',
    },
    /** @param status of HTTP */
    errorAnswer: (status: number) =>
      `This address answers with an error (HTTP ${status}). Check it; if it is right, try again later, or tell whoever runs the server.`,
    nameProblem: 'Enter a name of at most 40 characters.',
    notices: {
      session_ended: 'Your session has ended. Sign in again.',
      signed_out: 'You are signed out.',
      refused: 'The sign-in was refused in the browser.',
      timed_out: 'Nobody signed in within two minutes. Try again.',
      cancelled: 'The sign-in was cancelled.',
      listener_failed: 'This computer did not let identree wait for the browser. Try again.',
      browser_failed: 'Your browser could not be opened.',
      certificate_refused: 'The certificate of the server was refused. Nothing was sent there.',
      server_unreachable: 'The server did not answer. Check your connection and try again.',
      server_refused: 'The server did not accept this sign-in. Try again.',
    },
  },
  /** What the browser shows when it comes back from the sign-in, as title and text. */
  browser: {
    signedIn: ['You are signed in', 'You can close this page and go back to the identree window.'],
    notSignedIn: ['Not signed in', 'You can close this page and go back to the identree window.'],
    didNotWork: ['This did not work', 'Go back to the identree window and start the sign-in again.'],
    anotherSignIn: ['This did not work', 'This sign-in is not the one that the identree window started.'],
    nothingHere: ['Nothing here', 'This address is not for browsing.'],
  },
  files: {
    authorityFile: 'Certificate of the authority',
    certificateFiles: 'Certificates (PEM)',
  },
  errors: {
    noBrowser: ['No browser', 'The page could not be opened in your browser.'],
    notStarted: ['identree does not start', 'The program is damaged, or a file of it cannot be read. Install it anew.'],
    notSaved: ['Not saved', 'What you changed could not be saved on this computer. It holds until identree ends.'],
    settingsUnreadable: (file: string) => [
      'Settings not read',
      `${file} is damaged, or others than you may write to it. Commands are hidden in notifications until you choose otherwise in the menu.`,
    ],
    notEnded: [
      'Session not ended',
      'It could not be erased from this computer, and the server was not reached to end it. Sign out once more after the next start.',
    ],
  },
};
