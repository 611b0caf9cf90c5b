import * as oidc from 'openid-client';
import type { Config } from '../config/config.ts';
import type { Clock } from '../platform/clock.ts';
import { identityOf } from './claims.ts';
import type { ExchangeResult, IdentityProvider } from './identity-provider.ts';
import { explain, problemOf } from './oidc-errors.ts';
import { CLOCK_TOLERANCE, createProviderMetadata, type Fetch } from './provider-metadata.ts';

const SCOPES = ['openid', 'profile', 'email', 'groups'];
/**
 * Asked for with every sign-in, seconds: a provider that is given a `max_age` has to say when the person signed in
 * (OpenID Connect Core 2). 30 days, so that it does not ask them more often because of us.
 */
const PLAIN_MAX_AGE = 30 * 24 * 60 * 60;

/** Where the provider sends the browser back to: to be entered there, letter by letter. */
export const redirectUriOf = (config: Pick<Config, 'externalUrl'>): string => `${config.externalUrl}/callback`;

/** The OpenID Connect provider of the configuration, by authorization code with PKCE (RFC 6749, RFC 7636). */
export function createOidc(deps: {
  config: Pick<Config, 'externalUrl' | 'oidc'>;
  clock: Clock;
  fetch?: Fetch;
  /** Told how long a token exchange took, seconds, whatever came of it. */
  onExchange?: (seconds: number) => void;
  log: { warn(detail: object, message: string): void };
}): IdentityProvider {
  const { config, clock } = deps;
  const redirectUri = redirectUriOf(config);
  const metadata = createProviderMetadata(deps);

  return {
    async authorizationUrl({ state, nonce, codeVerifier }, { fresh }) {
      const found = await metadata.get();
      if (!found.ok) return found;
      const { provider } = found;
      const url = oidc.buildAuthorizationUrl(provider, {
        redirect_uri: redirectUri,
        scope: scopeFor(provider.serverMetadata().scopes_supported),
        response_type: 'code',
        state,
        nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
        ...(fresh ? { prompt: 'login', max_age: '0' } : { max_age: String(PLAIN_MAX_AGE) }),
      });
      return { ok: true, url };
    },

    async exchange(callback, secrets, { fresh, startedAt }): Promise<ExchangeResult> {
      const found = await metadata.get();
      if (!found.ok) return found;
      const { provider } = found;
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

    trouble: () => metadata.check(),
  };
}

/**
 * What is asked for: of our scopes those that the provider says it has. Many answer `invalid_scope` to any other, and hand
 * out groups without being asked. One that does not say what it has is asked for all.
 */
function scopeFor(supported: readonly string[] | undefined): string {
  return SCOPES.filter((scope) => scope === 'openid' || (supported?.includes(scope) ?? true)).join(' ');
}
