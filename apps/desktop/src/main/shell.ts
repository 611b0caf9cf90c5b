import { z } from 'zod';
import { userCode } from '#shared/names.ts';
import { CHANNELS } from '../channels.ts';
import type { SetupState, SignInNotice } from '../setup-state.ts';
import { createConsoleHandler, createSetupHandler, onlyFor } from './app-protocol.ts';
import type { Credential, CredentialStore } from './credential-store.ts';
import type { DeepLink } from './deep-link.ts';
import { createForwarder } from './forward.ts';
import { answerMessages, message } from './ipc.ts';
import type { JsonFile } from './json-file.ts';
import type { ShellFile } from './page-files.ts';
import type { RandomBytes } from './pkce.ts';
import type { Bounds, ShellPorts, ShellWindow, WindowKind } from './ports.ts';
import { type Profile, partitionOf } from './profile.ts';
import { parseServerOrigin } from './server-origin.ts';
import { createSignIn, type SignInAttempt } from './sign-in.ts';

/** Two browser windows within this time are one click too many, milliseconds. */
const OPEN_INTERVAL_MS = 1000;

const SETUP_PARTITION = 'setup';
const nothing = z.undefined();

export interface Shell {
  /** Shows the first window: the console when there is a live session, else the setup page. */
  start(): Promise<void>;
  /** Brings the window up and, when signed in, shows the link there. Nothing else happens until the person acts. */
  follow(link: DeepLink): void;
  /** Brings the window up. */
  raise(): void;
  signOut(): Promise<void>;
  changeServer(): Promise<void>;
}

/** The shell: one profile, one window, and what leads from one page to the next. */
export function createShell(deps: {
  ports: ShellPorts;
  profiles: JsonFile<{ v: 1; origin: string }>;
  bounds: JsonFile<{ v: 1 } & Bounds>;
  credentials: CredentialStore;
  files: { console: (path: string) => ShellFile | null; setup: (path: string) => ShellFile | null };
  random: RandomBytes;
  version: string;
  platform: string;
  signInTimeoutMs?: number;
}): Shell {
  const { ports, credentials } = deps;
  const startSignIn = createSignIn({
    http: ports.http,
    opener: ports.opener,
    random: deps.random,
    ...(deps.signInTimeoutMs === undefined ? {} : { timeoutMs: deps.signInTimeoutMs }),
  });

  let profile: Profile | null = null;
  let current: { window: ShellWindow; kind: WindowKind } | null = null;
  let bounds: Bounds | null = null;
  let setup: SetupState = { step: 'server', origin: null, problem: null };
  let attempt: SignInAttempt | null = null;
  let signingIn = false;
  let waitingLink: DeepLink | null = null;
  let listening = false;
  let openedAt = Number.NEGATIVE_INFINITY;
  let endStreams = () => {};

  const setupHandler = createSetupHandler({ files: deps.files.setup, random: deps.random });

  /** Replaces the window. The new one is there before the old one goes, or the shell would end with its last window. */
  function show(kind: WindowKind, partition: string, facts: Record<string, unknown>): void {
    const previous = current;
    endStreams();
    listening = false;
    const window = ports.windows.open({ kind, partition, facts, bounds: kind === 'console' ? bounds : null });
    current = { window, kind };
    if (kind === 'console') {
      window.onBounds((next) => {
        bounds = next;
        void deps.bounds.write({ v: 1, ...next }).catch(() => {});
      });
    }
    window.onClosed(() => {
      if (current?.window !== window) return;
      current = null;
      endStreams();
      attempt?.cancel();
    });
    previous?.window.close();
  }

  function showSetup(next: SetupState): void {
    setup = next;
    if (current?.kind === 'setup') {
      current.window.send(CHANNELS.setupChanged, setup);
      return;
    }
    ports.protocol.serve(SETUP_PARTITION, onlyFor('setup', setupHandler));
    show('setup', SETUP_PARTITION, {});
  }

  function showConsole(target: Profile): void {
    const { origin } = target;
    const forwarder = createForwarder({
      http: ports.http,
      origin,
      credential: () => credentials.get(origin),
      userAgent: `identree-desktop/${deps.version} (${deps.platform})`,
      onSessionEnded: (used) => {
        const known = credentials.get(origin);
        // An answer to an older credential says nothing about the one in use now.
        if (known && known.secret !== used?.secret) return;
        void credentials.clear().then(() => {
          if (current?.kind === 'console') return showSignIn('session_ended');
        });
      },
    });
    const handler = createConsoleHandler({ files: deps.files.console, forwarder, random: deps.random });
    ports.protocol.serve(partitionOf(target), onlyFor('console', handler));
    show('console', partitionOf(target), { origin, version: deps.version, platform: deps.platform });
    endStreams = forwarder.endStreams;
  }

  async function showSignIn(notice: SignInNotice | null): Promise<void> {
    if (!profile) return showSetup({ step: 'server', origin: null, problem: null });
    const keychain = await ports.secrets.available().catch(() => false);
    showSetup({ step: 'sign-in', origin: profile.origin, notice, keychain });
  }

  async function signIn(): Promise<void> {
    if (!profile || signingIn) return;
    const { origin } = profile;
    signingIn = true;
    try {
      attempt = await startSignIn(origin);
      const { compareCode, done } = attempt;
      const keychain = await ports.secrets.available().catch(() => false);
      showSetup({ step: 'waiting', origin, compareCode, keychain });
      const result = await done;
      // Window closed, or another server asked for meanwhile: this sign-in has no place any more.
      const isWanted = current && setup.step === 'waiting' && setup.compareCode === compareCode;
      if (!result.ok) {
        if (isWanted) await showSignIn(result.problem === 'cancelled' ? null : result.problem);
        return;
      }
      const credential = { origin, secret: result.credential, expiresAt: result.expiresAt };
      if (!isWanted) return await revoke(credential);
      await credentials.set(credential);
      showConsole({ origin });
      current?.window.focus();
    } catch {
      await showSignIn('listener_failed');
    } finally {
      attempt = null;
      signingIn = false;
    }
  }

  async function saveServer(typed: string): Promise<void> {
    const parsed = parseServerOrigin(typed);
    if (!parsed.ok) return showSetup({ step: 'server', origin: typed, problem: parsed.problem });
    try {
      await deps.profiles.write({ v: 1, origin: parsed.origin });
    } catch {
      return showSetup({ step: 'server', origin: typed, problem: 'not_saved' });
    }
    profile = { origin: parsed.origin };
    await showSignIn(null);
  }

  /** Has the server forget the session. When it cannot be asked, the session ends there by its own age. */
  async function revoke(credential: Credential): Promise<void> {
    await ports.http
      .fetch(`${credential.origin}/trpc/sessions.signOut`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${credential.secret}` },
        body: '{}',
        signal: AbortSignal.timeout(5000),
      })
      .catch(() => null);
  }

  async function forget(): Promise<void> {
    const credential = profile && credentials.get(profile.origin);
    // This computer first: it has to hold even when the server does not answer.
    await credentials.clear();
    if (credential) await revoke(credential);
  }

  async function signOut(): Promise<void> {
    if (current?.kind !== 'console') return;
    await forget();
    await showSignIn('signed_out');
  }

  async function changeServer(): Promise<void> {
    attempt?.cancel();
    if (current?.kind === 'console') await forget();
    showSetup({ step: 'server', origin: profile?.origin ?? null, problem: null });
  }

  function openApproval(code: string): void {
    const now = ports.clock.now();
    if (!profile || now - openedAt < OPEN_INTERVAL_MS) return;
    openedAt = now;
    void ports.opener.open(profile.origin, { kind: 'approve', code }).then((opened) => {
      if (!opened) ports.notifier.error('No browser', 'The approval page could not be opened in your browser.');
    });
  }

  function deliverLink(): void {
    if (!waitingLink || !listening || current?.kind !== 'console') return;
    current.window.send(CHANNELS.deepLink, waitingLink);
    waitingLink = null;
  }

  const currentWindow = () => current && { id: current.window.id, kind: current.kind };
  answerMessages(ports.ipc, currentWindow, [
    message({ channel: CHANNELS.openApproval, page: 'console', schema: userCode, act: openApproval }),
    message({ channel: CHANNELS.signIn, page: 'console', schema: nothing, act: () => showSignIn(null) }),
    message({ channel: CHANNELS.signOut, page: 'console', schema: nothing, act: signOut }),
    message({
      channel: CHANNELS.linksWanted,
      page: 'console',
      schema: nothing,
      act: () => {
        listening = true;
        deliverLink();
      },
    }),
    message({ channel: CHANNELS.setupState, page: 'setup', schema: nothing, act: () => setup }),
    message({ channel: CHANNELS.saveServer, page: 'setup', schema: z.string().max(300), act: saveServer }),
    message({ channel: CHANNELS.changeServer, page: 'setup', schema: nothing, act: changeServer }),
    message({
      channel: CHANNELS.startSignIn,
      page: 'setup',
      schema: nothing,
      // The page draws what the state says; it does not wait for the person to come back from the browser.
      act: () => void signIn(),
    }),
    message({ channel: CHANNELS.cancelSignIn, page: 'setup', schema: nothing, act: () => attempt?.cancel() }),
  ]);

  return {
    async start() {
      const [storedProfile, storedBounds] = await Promise.all([deps.profiles.read(), deps.bounds.read()]);
      await credentials.load();
      if (storedBounds) {
        const { v: _version, ...rest } = storedBounds;
        bounds = rest;
      }
      if (storedProfile) profile = { origin: storedProfile.origin };
      if (profile && credentials.get(profile.origin)) return showConsole(profile);
      await showSignIn(null);
    },
    follow(link) {
      waitingLink = link;
      current?.window.focus();
      deliverLink();
    },
    raise: () => current?.window.focus(),
    signOut,
    changeServer,
  };
}
