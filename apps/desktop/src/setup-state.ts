import type { Colour } from './colours.ts';

/** What the setup page shows; made by the main process, drawn by the page. */
export type SetupState =
  | {
      step: 'server';
      origin: string | null;
      problem: ServerProblem | null;
      canGoBack: boolean;
      /** Where a list of servers lies that could not be read. */
      unreadable: string | null;
    }
  | {
      step: 'certificate';
      origin: string;
      certificate: CertificateFacts;
      /** This computer trusts it already. */
      isTrusted: boolean;
      /** The authority that the person chose and that vouches for it; null when the certificate itself is to be trusted. */
      authority: CertificateFacts | null;
      /** Why it cannot be trusted, whoever vouches for it. */
      fault: CertificateFault | null;
      notice: AuthorityNotice | null;
    }
  | {
      step: 'sign-in';
      origin: string;
      /** What the person calls the server. */
      name: string;
      notice: SignInNotice | null;
      /** Why the session is forgotten when the shell ends; null when it is kept. */
      keychain: KeychainProblem | null;
      /** What the server showed, or what the person agreed to; null when nothing is known of it. */
      certificate: CertificateFacts | null;
      /** The person agreed to it: nothing else is taken from this server. */
      isPinned: boolean;
    }
  | { step: 'waiting'; origin: string; name: string; compareCode: string }
  | { step: 'profile'; origin: string; name: string; colour: Colour; pin: CertificateFacts | null };

/** A certificate as a person reads it. Every text is safe to display. */
export interface CertificateFacts {
  subject: string;
  issuer: string;
  issuedByItself: boolean;
  /** Host names and addresses that it is for. */
  names: readonly string[];
  /** Milliseconds since the Unix epoch. */
  validFrom: number;
  validTo: number;
  /** SHA-256, hexadecimal with colons. */
  fingerprint: string;
}

export type CertificateFault = 'other_name' | 'expired' | 'not_yet_valid';

/** What is wrong with the authority that the person chose. */
export type AuthorityNotice = 'not_a_certificate' | 'not_its_authority';

/** There is none, or one that is locked or does not work. */
export type KeychainProblem = 'missing' | 'refuses';

/** Why no server is added: what was typed, or what answers there. `status` is of the HTTP error that it answers with. */
export type ServerProblem =
  | 'empty'
  | 'not_an_address'
  | 'not_https'
  | 'user_in_address'
  | 'too_many'
  | 'another_site'
  | 'no_tls'
  | { status: number };

export type SignInNotice =
  | 'session_ended'
  | 'signed_out'
  | 'refused'
  | 'timed_out'
  | 'cancelled'
  | 'listener_failed'
  | 'browser_failed'
  | 'certificate_refused'
  | 'server_unreachable'
  | 'server_refused';
