import type { SetupState, SignInNotice } from '../setup-state.ts';
import type { Credential, CredentialStore } from './credential-store.ts';
import { createPinnedHttp } from './pinned-http.ts';
import type { HttpPort } from './ports.ts';
import type { Profile } from './profile.ts';
import type { Servers } from './servers.ts';
import { type createSigningIn, revoke, type SignInSteps } from './signing-in.ts';

/** The window, as far as signing in and out moves it. */
export interface SessionPages {
  /** The server that the window is about. */
  target(): Profile | null;
  isConsole(): boolean;
  show(state: SetupState): void;
  askSignIn(profile: Profile, notice: SignInNotice | null): Promise<void>;
  showConsole(profile: Profile): void;
  /** Something that is shown has changed. */
  onChange(): void;
}

/** Signing in at the server that the window is about, and the end of a session, whoever ends it. */
export function createSessions(deps: {
  /** Outbound HTTP that knows no pins. */
  open: HttpPort;
  /** Outbound HTTP that holds each server to its pin. */
  http: HttpPort;
  credentials: CredentialStore;
  servers: Pick<Servers, 'follow' | 'leave'>;
  signingIn: ReturnType<typeof createSigningIn>;
  /** Keeps the server and makes it the one that is looked at. */
  activate: (profile: Profile) => Promise<void>;
  /** A session that the person left could neither be erased here nor ended on the server. */
  onNotEnded: () => void;
  pages: SessionPages;
}) {
  const { credentials, pages, servers, activate } = deps;

  async function forget(origin: string): Promise<void> {
    const credential = credentials.get(origin);
    servers.leave(origin);
    // This computer first: it has to hold even when the server does not answer. And the server also when this computer
    // cannot erase it: what lies here is of no use then.
    const isErased = await credentials.clear(origin).then(
      () => true,
      () => false,
    );
    const isEnded = credential === null || (await revoke(deps.http, credential));
    if (!isErased && !isEnded) deps.onNotEnded();
  }

  return {
    async signIn(): Promise<void> {
      const profile = pages.target();
      if (!profile) return;
      const { origin, name, pin = null } = profile;
      // By itself: when the person has turned to another server, what came of this one is still said to nobody else.
      const own = createPinnedHttp({ open: deps.open, pinOf: () => pin });
      const steps: SignInSteps = {
        waiting: (compareCode) => pages.show({ step: 'waiting', origin, name, compareCode }),
        failed: (problem) => pages.askSignIn(profile, problem),
        async signedIn(credential) {
          await credentials.set(credential);
          // Kept first: whatever the window is about by now, what is asked from here on is held to what was agreed to.
          const kept = activate(profile);
          servers.follow(origin);
          await kept;
          if (pages.target() === profile) pages.showConsole(profile);
          pages.onChange();
        },
      };
      await deps.signingIn.begin({ origin, http: own }, steps);
    },
    /** Ends the session on the server and here. */
    forget,
    async signOut(): Promise<void> {
      const profile = pages.target();
      if (!profile || !pages.isConsole()) return;
      await forget(profile.origin);
      await pages.askSignIn(profile, 'signed_out');
      pages.onChange();
    },
    /** The server knows the credential no more. */
    ended(origin: string, used: Credential | null): void {
      const known = credentials.get(origin);
      // An answer to an older credential says nothing about the one in use now.
      if (known && known.secret !== used?.secret) return;
      // What cannot be erased is of no use: the server knows it no more.
      const cleared = credentials.clear(origin).catch(() => {});
      void cleared.then(async () => {
        servers.leave(origin);
        const target = pages.target();
        if (pages.isConsole() && target?.origin === origin) await pages.askSignIn(target, 'session_ended');
        pages.onChange();
      });
    },
  };
}
