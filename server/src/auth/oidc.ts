import * as oidc from 'openid-client';
import type { Config } from '../config/config.ts';
import { isLoopback } from '../config/values.ts';
import type { Clock } from '../platform/clock.ts';
import { identityOf } from './claims.ts';
import type { ExchangeResult, IdentityProvider } from './identity-provider.ts';

const SCOPES = ['openid', 'profile', 'email', 'groups'];
const TIMEOUT_SECONDS = 15;
/**
 * Asked for with every sign-in, seconds: a provider that is given a `max_age` has to say when the person signed in
 * (OpenID Connect Core 2). 30 days, so that it does not ask them more often because of us.
 */
const PLAIN_MAX_AGE = 30 * 24 * 60 * 60;
/** How far the provider's clock may be behind ours, seconds. */
const CLOCK_TOLERANCE = 10;
/** A failed discovery is not tried again sooner than this, so that a dead provider does not delay every request. */
const RETRY_MS = 5_000;
/** Keys and endpoints of the provider are read again after this. */
const METADATA_MAX_AGE_MS = 60 * 60_000;
const HEALTH_MAX_AGE_MS = 30_000;

/** Outbound HTTP, handed in; `fetch` in production. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The OpenID Connect provider of the configuration, by authorization code with PKCE (RFC 6749, RFC 7636). */
export function createOidc(deps: {
  config: Pick<Config, 'externalUrl' | 'oidc'>;
  clock: Clock;
  fetch?: Fetch;
  /** Told how long a token exchange took, seconds, whatever came of it. */
  onExchange?: (seconds: number) => void;
  log: { warn(detail: object, message: string): void };
}): IdentityProvider {
  const { config, clock, log } = deps;
  const issuer = new URL(config.oidc.issuerUrl);
  const insecure = issuer.protocol === 'http:';
  if (insecure && !isLoopback(issuer.hostname)) {
    throw new TypeError('an http:// issuer is accepted on loopback only');
  }
  const redirectUri = `${config.externalUrl}/callback`;
  let known: { configuration: oidc.Configuration; at: number } | null = null;
  let failedAt = Number.NEGATIVE_INFINITY;
  let running: Promise<oidc.Configuration | null> | null = null;
  let health: { ok: boolean; at: number } | null = null;

  const customFetch: oidc.CustomFetch = (url, options) => {
    // No redirect is followed: discovery and token answers come from where the configuration says, or not at all.
    const init = { ...options, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000) } as RequestInit;
    return (deps.fetch ?? fetch)(url, init);
  };

  async function discover(): Promise<oidc.Configuration | null> {
    try {
      const found = await oidc.discovery(issuer, config.oidc.clientId, undefined, undefined, {
        timeout: TIMEOUT_SECONDS,
        [oidc.customFetch]: customFetch,
        execute: insecure ? [oidc.allowInsecureRequests] : [],
      });
      const metadata = found.serverMetadata();
      // A provider on https that sends the browser or our client secret over plain http.
      for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'userinfo_endpoint'] as const) {
        const endpoint = URL.parse(metadata[name] ?? 'https://absent.invalid');
        if (
          endpoint?.protocol !== 'https:' &&
          !(insecure && endpoint?.protocol === 'http:' && isLoopback(endpoint.hostname))
        ) {
          throw new TypeError(`${name} is not https`);
        }
      }
      const methods = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
      const { clientId, clientSecret } = config.oidc;
      const authentication = methods.includes('client_secret_basic')
        ? oidc.ClientSecretBasic(clientSecret)
        : oidc.ClientSecretPost(clientSecret);
      const configuration = new oidc.Configuration(
        metadata,
        clientId,
        { client_secret: clientSecret, [oidc.clockTolerance]: CLOCK_TOLERANCE },
        authentication,
      );
      configuration.timeout = TIMEOUT_SECONDS;
      configuration[oidc.customFetch] = customFetch;
      if (insecure) oidc.allowInsecureRequests(configuration);
      known = { configuration, at: clock.now() };
      return configuration;
    } catch (error) {
      failedAt = clock.now();
      log.warn({ detail: explain(error) }, 'the identity provider cannot be reached');
      return null;
    } finally {
      running = null;
    }
  }

  /** The provider's metadata; null while it cannot be had. Old metadata is better than none. */
  async function configuration(): Promise<oidc.Configuration | null> {
    if (known && clock.now() - known.at < METADATA_MAX_AGE_MS) return known.configuration;
    if (clock.now() - failedAt >= RETRY_MS) {
      running ??= discover();
      const found = await running;
      if (found) return found;
    }
    return known?.configuration ?? null;
  }

  return {
    async authorizationUrl({ state, nonce, codeVerifier }, { fresh }) {
      const provider = await configuration();
      if (!provider) return null;
      return oidc.buildAuthorizationUrl(provider, {
        redirect_uri: redirectUri,
        scope: scopeFor(provider.serverMetadata().scopes_supported),
        response_type: 'code',
        state,
        nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
        ...(fresh ? { prompt: 'login', max_age: '0' } : { max_age: String(PLAIN_MAX_AGE) }),
      });
    },

    async exchange(callback, secrets, { fresh, startedAt }): Promise<ExchangeResult> {
      const provider = await configuration();
      if (!provider) return { ok: false, problem: 'provider_unreachable', detail: 'no metadata' };
      const began = clock.now();
      try {
        const url = new URL(`${redirectUri}${callback.search}`);
        const tokens = await oidc.authorizationCodeGrant(provider, url, {
          expectedState: secrets.state,
          expectedNonce: secrets.nonce,
          pkceCodeVerifier: secrets.codeVerifier,
          idTokenExpected: true,
        });
        let claims: Record<string, unknown> = { ...tokens.claims() };
        const subject = String(claims.sub);
        if (fresh) {
          // The provider's word that the person was asked, not the time at which we were told. A silent sign-in has an
          // older `auth_time`; a provider that names none has proved nothing (OpenID Connect Core 3.1.2.1, max_age).
          const authTime = claims.auth_time;
          if (typeof authTime !== 'number' || (authTime + CLOCK_TOLERANCE) * 1000 < startedAt) {
            return { ok: false, problem: 'not_fresh', detail: `auth_time ${String(authTime)}, asked at ${startedAt}` };
          }
        }
        const complete = claims.preferred_username !== undefined && claims.groups !== undefined;
        if (!complete && provider.serverMetadata().userinfo_endpoint) {
          const more = await oidc.fetchUserInfo(provider, tokens.access_token, subject);
          // What the signed token says goes first.
          claims = { ...more, ...claims };
        }
        return identityOf(provider.serverMetadata().issuer, claims, clock.now());
      } catch (error) {
        return { ok: false, problem: problemOf(error), detail: explain(error) };
      } finally {
        deps.onExchange?.((clock.now() - began) / 1000);
      }
    },

    async healthy() {
      const now = clock.now();
      if (health && now - health.at < HEALTH_MAX_AGE_MS) return health.ok;
      health = { ok: (await discoverNow()) !== null, at: now };
      return health.ok;
    },
  };

  /** Asks the provider itself, whatever is cached. */
  async function discoverNow(): Promise<oidc.Configuration | null> {
    running ??= discover();
    return running;
  }
}

/**
 * What is asked for: of our scopes those that the provider says it has. Many answer `invalid_scope` to any other, and hand
 * out groups without being asked. One that does not say what it has is asked for all.
 */
function scopeFor(supported: readonly string[] | undefined): string {
  return SCOPES.filter((scope) => scope === 'openid' || (supported?.includes(scope) ?? true)).join(' ');
}

function problemOf(error: unknown): 'refused_by_provider' | 'invalid_answer' | 'provider_unreachable' {
  if (error instanceof oidc.AuthorizationResponseError) return 'refused_by_provider';
  if (error instanceof oidc.ResponseBodyError || error instanceof oidc.WWWAuthenticateChallengeError)
    return 'invalid_answer';
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'OAUTH_TIMEOUT' || error instanceof TypeError || isTimeout(error)
    ? 'provider_unreachable'
    : 'invalid_answer';
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
}

/** For the log: codes and messages of the chain, never a token or a code. */
function explain(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 4; at = at.cause) {
    const code = 'code' in at ? ` (${String(at.code)})` : '';
    const oauth = 'error' in at && typeof at.error === 'string' ? ` ${at.error}` : '';
    parts.push(`${at.message}${code}${oauth}`);
  }
  return parts.join(': ').slice(0, 500);
}
