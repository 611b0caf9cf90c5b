import { z } from 'zod';
import { userCode } from '#shared/names.ts';
import { CHANNELS } from '../channels.ts';
import { COLOURS } from '../colours.ts';
import type { SetupState } from '../setup-state.ts';
import { answerMessages, type Message, message } from './ipc.ts';
import type { IpcPort, WindowKind } from './ports.ts';
import { type Profile, profileName } from './profile.ts';

/** All that the two pages can ask of the shell. There is none that approves. */
export interface PageActs {
  console: {
    openApproval(code: string): void;
    signIn(): unknown;
    signOut(): Promise<void>;
    /** The servers but the one that is shown, in the language of the page. Nothing that could sign anybody in. */
    otherServers(): { origin: string; label: string }[];
    /** Shows one of the person's servers; nothing happens for any other address. */
    showServer(origin: string): Promise<void>;
    /** @returns why the server is not reached, in words of the page's language; null while it is */
    reach(): string | null;
    /** The page listens for links from now on. */
    listens(): void;
  };
  setup: {
    state(): SetupState;
    saveServer(typed: string): Promise<void>;
    changeServer(): Promise<void>;
    startSignIn(): Promise<void>;
    cancelSignIn(): void;
    trustCertificate(fingerprint: string): unknown;
    chooseAuthority(): Promise<void>;
    goBack(): Promise<void>;
    saveProfile(change: Pick<Profile, 'name' | 'colour'>): Promise<void>;
    removeProfile(): Promise<void>;
  };
}

const nothing = z.undefined();

/** Answers the messages of the window that is open now, each from the page that it belongs to and in its exact shape. */
export function answerPages(
  ipc: IpcPort,
  currentWindow: () => { id: number; kind: WindowKind } | null,
  { console, setup }: PageActs,
): void {
  const from =
    (page: WindowKind) =>
    <T>(channel: string, schema: z.ZodType<T>, act: (input: T) => unknown): Message =>
      message({ channel, page, schema, act });
  const onConsole = from('console');
  const onSetup = from('setup');
  answerMessages(ipc, currentWindow, [
    onConsole(CHANNELS.openApproval, userCode, console.openApproval),
    onConsole(CHANNELS.signIn, nothing, console.signIn),
    onConsole(CHANNELS.signOut, nothing, console.signOut),
    onConsole(CHANNELS.otherServers, nothing, console.otherServers),
    onConsole(CHANNELS.showServer, z.string().max(300), console.showServer),
    onConsole(CHANNELS.reachWanted, nothing, console.reach),
    onConsole(CHANNELS.linksWanted, nothing, console.listens),
    onSetup(CHANNELS.setupState, nothing, setup.state),
    onSetup(CHANNELS.saveServer, z.string().max(300), setup.saveServer),
    onSetup(CHANNELS.changeServer, nothing, setup.changeServer),
    // The page draws what the state says; it does not wait for the person to come back from the browser.
    onSetup(CHANNELS.startSignIn, nothing, () => void setup.startSignIn()),
    onSetup(CHANNELS.cancelSignIn, nothing, setup.cancelSignIn),
    onSetup(CHANNELS.trustCertificate, z.string().max(200), setup.trustCertificate),
    onSetup(CHANNELS.chooseAuthority, nothing, () => void setup.chooseAuthority()),
    onSetup(CHANNELS.goBack, nothing, setup.goBack),
    onSetup(CHANNELS.saveProfile, z.strictObject({ name: profileName, colour: z.enum(COLOURS) }), setup.saveProfile),
    onSetup(CHANNELS.removeProfile, nothing, setup.removeProfile),
  ]);
}
