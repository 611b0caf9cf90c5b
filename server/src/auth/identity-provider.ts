/** Why the groups of a person did not come. */
export type GroupsUnknown =
  /** There are too many for a token: the provider names another place where they are (OpenID Connect Core 5.6.2). */
  | 'overage'
  /** They were not in the ID token, and the userinfo endpoint failed. */
  | 'userinfo_failed'
  /** There is no such claim, and the scope that would bring it is not one of the provider's, or was not granted. */
  | 'scope_missing'
  /** There is no such claim. Some providers leave it out for people who are in no group. */
  | 'not_sent'
  /** The claim is neither a list nor a text. */
  | 'unreadable';

/** What the identity provider says about a person who has just signed in. */
export interface Identity {
  issuer: string;
  subject: string;
  /** `preferred_username`, for display. Which account is theirs is said elsewhere: it may well be an e-mail address. */
  username: string;
  displayName: string;
  email: string | null;
  groups: string[];
  /** Why the groups are not known; `groups` is empty then. Null when they are known, also to be none. */
  groupsUnknown: GroupsUnknown | null;
  /** When the person last proved who they are, milliseconds; 0 when the provider does not say. */
  authTime: number;
  /** The session at the provider, which it may end later (`sid`, OpenID Connect Back-Channel Logout 1.0); null: unnamed. */
  sid: string | null;
  /** By what the source of people knows them, where that is not the subject: the claim, and what it said. */
  sourceId: { claim: string; value: string } | null;
  /** The ID token itself, for signing out at the provider; null when there is none. */
  idToken: string | null;
}

/** A verified logout token: a person has signed out at the provider. */
export interface LogoutToken {
  issuer: string;
  /** Whose sessions end; null: those of the person who has the session `sid`. */
  subject: string | null;
  /** Which session at the provider has ended; null: all of the subject. */
  sid: string | null;
  /** SHA-256 of the token's id. */
  idHash: string;
  /** Milliseconds; afterwards the token is too old whoever sends it. */
  usableUntil: number;
}

export type LogoutTokenResult =
  | { ok: true; logout: LogoutToken }
  /** `detail` is for the log only. */
  | { ok: false; problem: 'invalid_token' | ProviderTrouble['problem']; detail: string };

/** What a sign-in has to keep until the person comes back. */
export interface SignInSecrets {
  state: string;
  nonce: string;
  codeVerifier: string;
}

/** Why a sign-in failed, as it is logged. */
export type SignInProblem =
  /** The provider answered with an OAuth error, for example because the person pressed Cancel. */
  | 'refused_by_provider'
  /** Signature, issuer, audience, expiry, `iss`: the answer is not an answer to this sign-in. */
  | 'invalid_answer'
  /** The same, and all that is wrong is its nonce: it answers another sign-in. */
  | 'nonce_mismatch'
  /** The provider cannot be reached or broke off. */
  | 'provider_unreachable'
  /** The provider calls itself or has our client otherwise than configured, or its metadata cannot be used: no outage. */
  | 'provider_misconfigured'
  /** A fresh sign-in was asked for and the provider did not prove one. */
  | 'not_fresh'
  /** `preferred_username` is missing or no user name. */
  | 'username_unusable'
  /** The directory says that this person is disabled. */
  | 'account_disabled'
  | 'claims_unusable';

/** Why no sign-in can begin now. */
export interface ProviderTrouble {
  problem: Extract<SignInProblem, 'provider_unreachable' | 'provider_misconfigured'>;
  /** For the log. Of `provider_misconfigured` also for /healthz: it holds nothing but what the provider publishes. */
  detail: string;
}

export type ExchangeResult =
  | { ok: true; identity: Identity }
  /** `detail` is for the log only. */
  | { ok: false; problem: SignInProblem; detail: string };

/** Port: an OpenID Connect provider. Never throws for what the provider does; troubles are values. */
export interface IdentityProvider {
  /** Where to send the browser. `fresh`: the person must sign in anew. */
  authorizationUrl(
    secrets: SignInSecrets,
    options: { fresh: boolean },
  ): Promise<{ ok: true; url: URL } | ({ ok: false } & ProviderTrouble)>;
  /**
   * Turns the callback into an identity.
   *
   * @param callback the URL that the browser was sent to, with its query.
   * @param options.fresh the sign-in must not be older than `startedAt` (milliseconds).
   */
  exchange(
    callback: URL,
    secrets: SignInSecrets,
    options: { fresh: boolean; startedAt: number },
  ): Promise<ExchangeResult>;
  /** Verifies a logout token. That it is used once is the caller's to see. */
  verifyLogout(token: string): Promise<LogoutTokenResult>;
  /**
   * Where to send a browser that signs out, so that its session at the provider ends as well; null when the provider
   * offers nothing of the kind (OpenID Connect RP-Initiated Logout 1.0).
   */
  endSessionUrl(idTokenHint: string | null): Promise<URL | null>;
  /** Why nobody can sign in now; null when all is well. For /healthz and the start. */
  trouble(): Promise<ProviderTrouble | null>;
}
