import type { Colour } from './colours.ts';

/** What the setup page shows; made by the main process, drawn by the page. */
export type SetupState =
  | { step: 'server'; origin: string | null; problem: ServerProblem | null; canGoBack: boolean }
  | { step: 'sign-in'; origin: string; notice: SignInNotice | null; keychain: boolean }
  | { step: 'waiting'; origin: string; compareCode: string; keychain: boolean }
  | { step: 'profile'; origin: string; name: string; colour: Colour };

export type ServerProblem = 'empty' | 'not_an_address' | 'not_https' | 'user_in_address' | 'too_many';

export type SignInNotice =
  | 'session_ended'
  | 'signed_out'
  | 'refused'
  | 'timed_out'
  | 'cancelled'
  | 'listener_failed'
  | 'browser_failed'
  | 'server_unreachable'
  | 'server_refused';
