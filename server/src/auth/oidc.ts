import * as oidc from 'openid-client';
import type { Config } from '../config/config.ts';
import type { Clock } from '../platform/clock.ts';
import { redirectUriOf, signedOutUriOf } from './addresses.ts';
import { identityOf } from './claims.ts';
import type { ExchangeResult, IdentityProvider } from './identity-provider.ts';
import { createLogoutTokens } from './logout-token.ts';
import { explain, problemOf } from './oidc-errors.ts';
import { CLOCK_TOLERANCE, createProviderMetadata, type Fetch } from './provider-metadata.ts';

const SCOPES = ['openid', 'profile', 'email', 'groups'];
/**
 * Asked for with every sign-in, seconds: a provider that is given a `max_age` has to say when the person signed in
 * (OpenID Connect Core 2). 30 days, so that it does not ask them more often because of us.
 */
const PLAIN_MAX_AGE = 30 * 24 * 60 * 60;

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
  const redirectUri = redirectUriOf(config);
  const metadata = createProviderMetadata(deps);
  const verifyLogout = createLogoutTokens({ ...deps, metadata });

  /** Whether our own scope for groups was not asked for, or not granted (RFC 6749, 5.1: told when it differs). */
  function lacksGroupScope(supported: unknown, granted: string | undefined): boolean {
    if (config.oidc.scopes !== null) return false;
    const has = (scopes: string) => scopes.split(' ').includes('groups');
    return !has(scopeFor(null, supported)) || (granted !== undefined && !has(granted));
  }

  /** What the ID token lacks, from the userinfo endpoint. What the signed token says goes first. */
  async function complete(provider: oidc.Configuration, accessToken: string, signed: Record<string, unknown>) {
    const lacksName = signed.preferred_username === undefined;
    const lacksGroups = signed[config.oidc.groupsClaim] === undefined;
    const lacksId = signed[config.oidc.userIdClaim] === undefined;
    if ((!lacksName && !lacksGroups && !lacksId) || !provider.serverMetadata().userinfo_endpoint) {
      return { claims: signed, userinfoFailed: false };
    }
    const subject = String(signed.sub);
    try {
      const more = await oidc.fetchUserInfo(provider, accessToken, subject);
      return { claims: { ...more, ...signed }, userinfoFailed: false };
    } catch (error) {
      // Who it is stands in the signed token. Groups only give power: without them the sign-in is worth less, not more.
      if (lacksName) throw error;
      log.warn({ subject, detail: explain(error) }, 'the userinfo endpoint failed: the person signs in without groups');
      return { claims: signed, userinfoFailed: true };
    }
  }

  return {
    async authorizationUrl({ state, nonce, codeVerifier }, { fresh }) {
      const found = await metadata.get();
      if (!found.ok) return found;
      const { provider } = found;
      const url = oidc.buildAuthorizationUrl(provider, {
        redirect_uri: redirectUri,
        scope: scopeFor(config.oidc.scopes, provider.serverMetadata().scopes_supported),
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
        const signed: Record<string, unknown> = { ...tokens.claims() };
        if (fresh) {
          // The provider's word that the person was asked, not the time at which we were told. A silent sign-in has an
          // older `auth_time`; a provider that names none has proved nothing (OpenID Connect Core 3.1.2.1, max_age).
          const authTime = signed.auth_time;
          if (typeof authTime !== 'number' || (authTime + CLOCK_TOLERANCE) * 1000 < startedAt) {
            return { ok: false, problem: 'not_fresh', detail: `auth_time ${String(authTime)}, asked at ${startedAt}` };
          }
        }
        const { claims, userinfoFailed } = await complete(provider, tokens.access_token, signed);
        const result = identityOf(provider.serverMetadata().issuer, claims, clock.now(), {
          groupsClaim: config.oidc.groupsClaim,
          userIdClaim: config.oidc.userIdClaim,
          userinfoFailed,
          scopeMissing: lacksGroupScope(provider.serverMetadata().scopes_supported, tokens.scope),
        });
        if (result.ok && result.leftOut > 0) {
          const { subject } = result.identity;
          log.warn({ subject, leftOut: result.leftOut }, 'groups that are no names of groups were left out');
        }
        return result.ok ? { ok: true, identity: { ...result.identity, idToken: tokens.id_token ?? null } } : result;
      } catch (error) {
        return { ok: false, problem: problemOf(error), detail: explain(error) };
      } finally {
        deps.onExchange?.((clock.now() - began) / 1000);
      }
    },

    verifyLogout,

    async endSessionUrl(idTokenHint) {
      if (!config.oidc.endSession) return null;
      const found = await metadata.get();
      const endpoint = found.ok ? found.provider.serverMetadata().end_session_endpoint : undefined;
      if (!found.ok || endpoint === undefined) return null;
      try {
        return oidc.buildEndSessionUrl(found.provider, {
          post_logout_redirect_uri: signedOutUriOf(config),
          ...(idTokenHint === null ? {} : { id_token_hint: idTokenHint }),
        });
      } catch (error) {
        log.warn({ endpoint, detail: explain(error) }, 'the provider cannot be asked to end its session');
        return null;
      }
    },

    trouble: () => metadata.check(),
  };
}

/**
 * What is asked for: what the settings say, or of our own scopes those that the provider says it has. Many answer
 * `invalid_scope` to any other, and hand out groups without being asked. One that does not say what it has is asked for
 * all.
 */
function scopeFor(wanted: readonly string[] | null, supported: unknown): string {
  if (wanted !== null) return wanted.join(' ');
  const has = Array.isArray(supported) ? supported : SCOPES;
  return SCOPES.filter((scope) => scope === 'openid' || has.includes(scope)).join(' ');
}
