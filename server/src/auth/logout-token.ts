import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { z } from 'zod';
import { sha256 } from '#shared/digest.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../platform/clock.ts';
import type { LogoutToken, LogoutTokenResult } from './identity-provider.ts';
import { CLOCK_TOLERANCE, type Fetch, type ProviderMetadata } from './provider-metadata.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
/** A token that was issued longer ago is not taken, seconds. So long its id is remembered. */
const MAX_AGE = 10 * 60;
const KEYS_TIMEOUT_MS = 5000;
/** Signatures with keys of the provider only: with a shared secret, everybody who knows it could sign. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

const claims = z
  .object({
    iss: z.string(),
    iat: z.number(),
    jti: z.string().min(1).max(1024),
    sub: z.string().min(1).max(255).optional(),
    sid: z.string().min(1).max(255).optional(),
    events: z.object({ [EVENT]: z.looseObject({}) }),
    // An ID token, which may hold this, must not be taken for a logout token.
    nonce: z.never().optional(),
  })
  .refine(({ sub, sid }) => sub !== undefined || sid !== undefined, 'names neither a subject nor a session');

/** Verifies logout tokens (OpenID Connect Back-Channel Logout 1.0, 2.6). That each is used once is the caller's to see. */
export function createLogoutTokens(deps: {
  config: Pick<Config, 'oidc'>;
  clock: Clock;
  metadata: Pick<ProviderMetadata, 'get'>;
  fetch?: Fetch;
}) {
  const { config, clock, metadata } = deps;
  let keys: { uri: string; get: JWTVerifyGetKey } | null = null;

  function keysAt(uri: string): JWTVerifyGetKey {
    if (keys?.uri !== uri) {
      const get = createRemoteJWKSet(new URL(uri), {
        timeoutDuration: KEYS_TIMEOUT_MS,
        [customFetch]: (url, init) => (deps.fetch ?? fetch)(url, init),
      });
      keys = { uri, get };
    }
    return keys.get;
  }

  return async function verify(token: string): Promise<LogoutTokenResult> {
    const found = await metadata.get();
    if (!found.ok) return found;
    const { issuer, jwks_uri: jwksUri } = found.provider.serverMetadata();
    if (jwksUri === undefined) return { ok: false, problem: 'provider_misconfigured', detail: 'it names no keys' };
    const invalid = (detail: string) => ({ ok: false, problem: 'invalid_token', detail }) as const;
    try {
      const { payload, protectedHeader } = await jwtVerify(token, keysAt(jwksUri), {
        issuer,
        audience: config.oidc.clientId,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE,
        maxTokenAge: MAX_AGE,
        currentDate: new Date(clock.now()),
      });
      if (protectedHeader.typ !== undefined && !/^(application\/)?(logout\+)?jwt$/i.test(protectedHeader.typ)) {
        return invalid('is of another type');
      }
      const parsed = claims.safeParse(payload);
      if (!parsed.success) return invalid(z.prettifyError(parsed.error));
      const { sub, sid, jti, iat } = parsed.data;
      const logout: LogoutToken = {
        issuer,
        subject: sub ?? null,
        sid: sid ?? null,
        idHash: sha256(jti),
        usableUntil: Math.ceil(iat + MAX_AGE + 2 * CLOCK_TOLERANCE) * 1000,
      };
      return { ok: true, logout };
    } catch (error) {
      return invalid(error instanceof Error ? error.message : String(error));
    }
  };
}
