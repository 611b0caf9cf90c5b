import { CONSOLE_LOCALE } from '#shared/console.ts';
import type { CertificateFacts, ServerProblem, SignInNotice } from '../setup-state.ts';
import { wordsFor } from '../words/words.ts';
import { createAddingServer } from './adding-server.ts';
import { createApprovalOpener } from './approval-opener.ts';
import { createConsolePage } from './console-page.ts';
import type { CredentialStore } from './credential-store.ts';
import type { DeepLink } from './deep-link.ts';
import type { JsonFile } from './json-file.ts';
import { type MenuAction, menuModel, serverItem } from './menu-model.ts';
import { createNotifications } from './notifications.ts';
import type { ShellFile } from './page-files.ts';
import { answerPages } from './page-messages.ts';
import { createPinnedHttp } from './pinned-http.ts';
import type { RandomBytes } from './pkce.ts';
import type { ShellPorts } from './ports.ts';
import { createPresence } from './presence.ts';
import { type Profile, partitionOf, type StoredBounds, type StoredProfiles } from './profile.ts';
import { createProfiles } from './profiles.ts';
import { createReachNotice } from './reach-notice.ts';
import { parseServerOrigin, shownAddress } from './server-origin.ts';
import { createServers } from './servers.ts';
import { createSessions } from './sessions.ts';
import type { Settings } from './settings.ts';
import { createSetupPage } from './setup-page.ts';
import { createSignIn } from './sign-in.ts';
import { createSigningIn } from './signing-in.ts';
import { createWaitingLink } from './waiting-link.ts';
import { createWindow } from './window.ts';

export interface Shell {
  /**
   * Shows the first window: the console when there is a live session, else the setup page.
   *
   * @param inBackground no window, as long as somebody is signed in anywhere
   */
  start(inBackground?: boolean): Promise<void>;
  /** Brings the window up and, when signed in, shows the link there. Nothing else happens until the person acts. */
  follow(link: DeepLink): void;
  /** Brings the window up. */
  raise(): void;
  /** Does what was chosen in a menu. */
  act(action: MenuAction): Promise<void>;
  /** Lets go of all servers: the program ends. */
  stop(): void;
}

/**
 * The shell: the person's servers, one window that shows one of them at a time, and what leads from one page to the
 * next. One window, not one for each: a decision is never made in a window that lies under another server's, and only
 * one page is paid for.
 */
export function createShell(deps: {
  ports: ShellPorts;
  profiles: JsonFile<StoredProfiles>;
  bounds: JsonFile<StoredBounds>;
  settings: JsonFile<Settings>;
  credentials: CredentialStore;
  files: { console: (path: string) => ShellFile | null; setup: (path: string) => ShellFile | null };
  random: RandomBytes;
  /** Of the person's desktop, as BCP 47 names it. */
  language: string;
  version: string;
  platform: string;
  signInTimeoutMs?: number;
  keychainPatienceMs?: number;
}): Shell {
  const { ports, credentials } = deps;
  const words = wordsFor(deps.language);
  /** What is shown inside a page of the console is in its language. */
  const pageWords = wordsFor(CONSOLE_LOCALE);
  const userAgent = `identree-desktop/${deps.version} (${deps.platform})`;
  const profiles = createProfiles(deps.profiles);
  // Of one that is being added, what the person agreed to holds from there on.
  const pinOf = (origin: string) => (profiles.get(origin) ?? (target?.origin === origin ? target : null))?.pin ?? null;
  const http = createPinnedHttp({ open: ports.http, pinOf });
  const signingIn = createSigningIn(({ origin, http }) =>
    createSignIn({
      http,
      opener: ports.opener,
      random: deps.random,
      language: deps.language,
      ...(deps.signInTimeoutMs === undefined ? {} : { timeoutMs: deps.signInTimeoutMs }),
    })(origin),
  );
  const adding = createAddingServer({
    ports,
    words,
    show: (state) => setup.show(state),
    onReady: (profile, seen, problem) => showSignIn(profile, problem, seen),
    onRefused: refuseServer,
  });
  const servers = createServers({
    http,
    credentials,
    userAgent,
    now: ports.clock.now,
    onChange: showOverview,
    onSessionEnded: (origin, used) => sessions.ended(origin, used),
  });
  const window = createWindow({ windows: ports.windows, bounds: deps.bounds, onClosed: windowClosed });
  const setup = createSetupPage({
    ports,
    window,
    files: deps.files.setup,
    random: deps.random,
    keychainPatienceMs: deps.keychainPatienceMs,
  });
  const consolePage = createConsolePage({
    protocol: ports.protocol,
    window,
    http,
    credentials,
    files: deps.files.console,
    random: deps.random,
    userAgent,
    version: deps.version,
    platform: deps.platform,
    onSessionEnded: (origin, used) => sessions.ended(origin, used),
  });
  const sessions = createSessions({
    open: ports.http,
    http,
    credentials,
    servers,
    signingIn,
    activate,
    onNotEnded: () => tell(words.errors.notEnded),
    pages: {
      target: () => target,
      isConsole: () => window.kind() === 'console',
      show: setup.show,
      askSignIn: showSignIn,
      showConsole(profile) {
        showConsole(profile);
        window.focus();
      },
      onChange: showOverview,
    },
  });
  const reach = createReachNotice({ window, words: pageWords });
  const waitingLink = createWaitingLink(window);
  const openApproval = createApprovalOpener({
    opener: ports.opener,
    clock: ports.clock,
    onNoBrowser: () => tell(words.errors.noBrowser),
  });
  const presence = createPresence({
    ports,
    file: deps.settings,
    words,
    language: deps.language,
    onAction: (action) => void act(action),
    onChange: showOverview,
    onNotSaved: () => tell(words.errors.notSaved),
    onUnreadable: (path) => tell(words.errors.settingsUnreadable(path)),
  });

  const notifications = createNotifications({
    port: ports.notifications,
    words,
    language: deps.language,
    now: ports.clock.now,
    isPaused: presence.isPaused,
    hidesCommand: presence.hidesCommand,
    acts: {
      review: (origin, code) => void show(origin, { kind: 'approve', code }),
      raise,
      deny: servers.deny,
    },
  });

  /** What the window is about. One that is being added is not among the profiles before somebody has signed in there. */
  let target: Profile | null = null;

  function showOverview(): void {
    const views = servers.view(profiles.list());
    const menu = menuModel(words, views, target?.origin ?? null, presence.toggles());
    ports.menu.show(menu, (action) => void act(action));
    presence.show(views);
    void notifications.update(views);
    reach.update(shown());
  }

  /** What is known of the server that the window is about. */
  const shown = () => (target ? servers.view([target])[0] : undefined);

  /** Something went wrong that no page can tell. */
  function tell([title = '', text = '']: readonly string[]): void {
    void ports.notifier.error(title, text);
  }

  function windowClosed(): void {
    leaveSetup();
    void presence.closed(profiles.list().some(({ origin }) => credentials.get(origin)));
  }

  function showConsole(profile: Profile): void {
    consolePage.show(profile, hasProfiles(2));
  }

  /** Are there at least so many? */
  const hasProfiles = (count: number) => profiles.list().length >= count;

  function askServer(origin: string | null, problem: ServerProblem | null): void {
    setup.askServer({ origin, problem, canGoBack: hasProfiles(1), unreadable: profiles.unreadable() });
  }

  function showServerStep(): void {
    leaveSetup();
    // One that was mistyped is there to be corrected.
    const origin = target && !profiles.get(target.origin) ? target.origin : null;
    target = null;
    askServer(origin, null);
    showOverview();
  }

  /** The window is about something else now. */
  function leaveSetup(): void {
    signingIn.drop();
    adding.drop();
  }

  /** @param seen the certificate of a server that is being added */
  async function showSignIn(
    profile: Profile,
    notice: SignInNotice | null,
    seen: CertificateFacts | null = null,
  ): Promise<void> {
    target = profile;
    await setup.askSignIn(profile, notice, seen, () => target === profile);
  }

  /** Shows a server: its console, or where to sign in. */
  async function showServer(profile: Profile): Promise<void> {
    if (target?.origin === profile.origin && window.kind() === 'console') return window.focus();
    leaveSetup();
    target = profile;
    await activate(profile);
    if (credentials.get(profile.origin)) showConsole(profile);
    else await showSignIn(profile, null);
    showOverview();
  }

  async function activate(profile: Profile): Promise<void> {
    await profiles.activate(profile).catch(() => tell(words.errors.notSaved));
  }

  async function goBack(): Promise<void> {
    const active = profiles.active();
    if (active) await showServer(active);
    else showServerStep();
  }

  function refuseServer(typed: string, problem: ServerProblem): void {
    // One that was on its way to be added is not.
    if (target && !profiles.get(target.origin)) target = null;
    askServer(typed, problem);
  }

  async function saveServer(typed: string): Promise<void> {
    const parsed = parseServerOrigin(typed);
    if (!parsed.ok) return refuseServer(typed, parsed.problem);
    const known = profiles.get(parsed.origin);
    if (known) return showServer(known);
    const added = profiles.draft(parsed.origin);
    if (!added) return refuseServer(typed, 'too_many');
    await adding.begin(added, typed);
  }

  function editServer(): void {
    const profile = target && profiles.get(target.origin);
    if (!profile) return;
    leaveSetup();
    setup.askName(profile);
  }

  async function saveProfile(change: Pick<Profile, 'name' | 'colour'>): Promise<void> {
    const state = setup.state();
    if (state.step !== 'profile') return;
    await profiles.change(state.origin, change).catch(() => tell(words.errors.notSaved));
    await goBack();
  }

  let asksToRemove = false;

  async function removeProfile(): Promise<void> {
    const state = setup.state();
    const profile = state.step === 'profile' ? profiles.get(state.origin) : null;
    if (!profile || asksToRemove) return;
    const { origin, name } = profile;
    asksToRemove = true;
    const { question, detail, yes, no } = words.remove;
    const isWanted = await ports.dialogs
      .ask({ question: question(name), detail: detail(shownAddress(origin)), yes, no, usual: 'no' })
      .finally(() => {
        asksToRemove = false;
      });
    if (!isWanted || !profiles.get(origin)) return;
    await sessions.forget(origin);
    await profiles.remove(origin).catch(() => tell(words.errors.notSaved));
    ports.protocol.forget(partitionOf({ origin }));
    window.forget(origin);
    // The question stands beside the window, which may show something else by now, or be closed.
    if (target?.origin !== origin) return showOverview();
    target = null;
    if (!window.kind()) return showOverview();
    const next = profiles.active();
    if (next) await showServer(next);
    else showServerStep();
  }

  /** Shows a request in the console of its server. Nothing is decided and no browser opens. */
  async function show(origin: string | null, link: DeepLink): Promise<void> {
    waitingLink.keep(origin, link);
    const profile = origin === null ? null : profiles.get(origin);
    if (profile && (target?.origin !== origin || !window.kind())) await showServer(profile);
    raise();
    waitingLink.deliver(target?.origin);
  }

  function raise(): void {
    const active = profiles.active();
    if (window.kind()) window.focus();
    else if (active) void showServer(active);
    else showServerStep();
  }

  async function act(action: MenuAction): Promise<void> {
    switch (action.do) {
      case 'show-server': {
        const profile = profiles.get(action.origin);
        if (profile) await showServer(profile);
        return raise();
      }
      case 'add-server':
        return showServerStep();
      case 'edit-server':
        return editServer();
      case 'sign-out':
        return sessions.signOut();
      case 'review':
        return show(action.origin, { kind: 'approve', code: action.code });
      case 'raise':
        return raise();
      case 'pause':
        return presence.pause();
      case 'resume':
        return presence.resume();
      case 'toggle':
        return presence.toggle(action.toggle);
      case 'quit':
        return ports.app.quit();
    }
  }

  function followAll(): void {
    for (const { origin } of profiles.list()) if (credentials.get(origin)) servers.follow(origin);
  }

  /** The keychain gave what it keeps after the first window was shown. */
  function keychainAnswered(): void {
    followAll();
    const asks = window.kind() === 'setup' && setup.state().step === 'sign-in';
    if (target && asks && credentials.get(target.origin)) void showServer(target);
    else showOverview();
  }

  answerPages(ports.ipc, window.current, {
    console: {
      openApproval: (code) => target && openApproval(target.origin, code),
      signIn: () => target && showSignIn(target, null),
      signOut: sessions.signOut,
      otherServers: () =>
        servers
          .view(profiles.list().filter(({ origin }) => origin !== target?.origin))
          .map((view) => ({ origin: view.profile.origin, label: serverItem(pageWords, view).label })),
      showServer: (origin) => act({ do: 'show-server', origin }),
      reach: () => reach.asked(shown()),
      listens() {
        window.listens();
        waitingLink.deliver(target?.origin);
      },
    },
    setup: {
      state: setup.state,
      saveServer,
      changeServer: () => act({ do: 'add-server' }),
      startSignIn: sessions.signIn,
      cancelSignIn: signingIn.cancel,
      trustCertificate: adding.trust,
      chooseAuthority: adding.chooseAuthority,
      goBack,
      saveProfile,
      removeProfile,
    },
  });

  return {
    async start(inBackground = false) {
      await Promise.all([profiles.load(), window.load(), credentials.load(keychainAnswered), presence.load()]);
      followAll();
      ports.app.onResume(servers.kick);
      const active = profiles.active();
      const isSignedIn = profiles.list().some(({ origin }) => credentials.get(origin));
      if (inBackground && isSignedIn) showOverview();
      else if (active) await showServer(active);
      else showServerStep();
    },
    follow(link) {
      // A link names no server: the one where such a request waits is meant.
      const found = servers.view(profiles.list()).find(({ pending }) => pending.some(({ code }) => code === link.code));
      void show(found?.profile.origin ?? null, link);
    },
    raise,
    act,
    stop() {
      leaveSetup();
      for (const { origin } of profiles.list()) servers.leave(origin);
    },
  };
}
