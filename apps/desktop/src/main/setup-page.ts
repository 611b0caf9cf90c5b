import { CHANNELS } from '../channels.ts';
import type { CertificateFacts, SetupState, SignInNotice } from '../setup-state.ts';
import { createSetupHandler, onlyFor } from './app-protocol.ts';
import { KEYCHAIN_PATIENCE_MS } from './credential-store.ts';
import { inTime } from './in-time.ts';
import type { ShellFile } from './page-files.ts';
import type { RandomBytes } from './pkce.ts';
import type { ShellPorts } from './ports.ts';
import type { Profile } from './profile.ts';
import { certificateFacts } from './server-certificate.ts';
import type { Window } from './window.ts';

const PARTITION = 'setup';

/** The page on which a person names a server, signs in there, and says what it is called. */
export function createSetupPage(deps: {
  ports: Pick<ShellPorts, 'protocol' | 'secrets'>;
  window: Window;
  files: (path: string) => ShellFile | null;
  random: RandomBytes;
  keychainPatienceMs?: number | undefined;
}) {
  const { ports, window } = deps;
  const handler = createSetupHandler({ files: deps.files, random: deps.random });
  let state: SetupState = { step: 'server', origin: null, problem: null, canGoBack: false, unreadable: null };

  function show(next: SetupState): void {
    state = next;
    if (window.kind() === 'setup') {
      window.send(CHANNELS.setupChanged, state);
      return;
    }
    ports.protocol.serve(PARTITION, onlyFor('setup', handler));
    window.show({ kind: 'setup', partition: PARTITION, facts: {}, name: null });
  }

  return {
    show,
    state: (): SetupState => state,
    /** Asks for the address of a server. */
    askServer(state: Omit<Extract<SetupState, { step: 'server' }>, 'step'>): void {
      show({ step: 'server', ...state });
    },
    /**
     * Asks the person to sign in.
     *
     * @param seen the certificate of a server that is being added
     * @param isMeant whether the window is still about this server once everything is known
     */
    async askSignIn(
      { origin, name, pin }: Profile,
      notice: SignInNotice | null,
      seen: CertificateFacts | null,
      isMeant: () => boolean,
    ): Promise<void> {
      const certificate = pin === undefined ? seen : certificateFacts(pin);
      const keychain = await inTime(ports.secrets.problem(), deps.keychainPatienceMs ?? KEYCHAIN_PATIENCE_MS).catch(
        () => 'refuses' as const,
      );
      if (isMeant())
        show({ step: 'sign-in', origin, name, notice, keychain, certificate, isPinned: pin !== undefined });
    },
    askName({ origin, name, colour, pin }: Profile): void {
      show({ step: 'profile', origin, name, colour, pin: pin === undefined ? null : certificateFacts(pin) });
    },
  };
}
