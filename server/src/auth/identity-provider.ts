/** Why the groups of a person did not come. */
export type GroupsUnknown =
  /** There are too many for a token: the provider names another place where they are (OpenID Connect Core 5.6.2). */
  | 'overage'
  /** They were not in the ID token, and the userinfo endpoint failed. */
  | 'userinfo_failed'
  /** There is no such claim. Some providers leave it out for people who are in no group. */
  | 'not_sent'
  /** The claim is neither a list nor a text. */
  | 'unreadable';

/** What the identity provider says about a person who has just signed in. */
export interface Identity {
  issuer: string;
  subject: string;
  /** `preferred_username`; a valid account name. */
  username: string;
  displayName: string;
  email: string | null;
  groups: string[];
  /** Why nobody knows the groups; `groups` is empty then. Null when they are known, also to be none. */
  groupsUnknown: GroupsUnknown | null;
  /** When the person last proved who they are, milliseconds; 0 when the provider does not say. */
  authTime: number;
}

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
  /** Signature, issuer, audience, nonce, expiry, `iss`: the answer is not an answer to this sign-in. */
  | 'invalid_answer'
  /** The provider cannot be reached or broke off. */
  | 'provider_unreachable'
  /** The provider calls itself otherwise than it is configured, or its metadata cannot be used: it is no outage. */
  | 'provider_misconfigured'
  /** A fresh sign-in was asked for and the provider did not prove one. */
  | 'not_fresh'
  /** `preferred_username` is missing or cannot be a Linux account. */
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
  /** Why nobody can sign in now; null when all is well. For /healthz and the start. */
  trouble(): Promise<ProviderTrouble | null>;
}
