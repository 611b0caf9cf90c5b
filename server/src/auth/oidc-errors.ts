import * as oidc from 'openid-client';

/** What a provider answers to every sign-in of a client that it has otherwise than it is set up here (RFC 6749). */
const SETTINGS_DIFFER = new Set([
  'invalid_client',
  'unauthorized_client',
  'invalid_scope',
  'unsupported_response_type',
  'unsupported_grant_type',
]);

/** What an error of the library means for the person who signs in. */
export function problemOf(
  error: unknown,
): 'refused_by_provider' | 'invalid_answer' | 'nonce_mismatch' | 'provider_unreachable' | 'provider_misconfigured' {
  if (error instanceof oidc.AuthorizationResponseError)
    return SETTINGS_DIFFER.has(error.error) ? 'provider_misconfigured' : 'refused_by_provider';
  if (error instanceof oidc.ResponseBodyError)
    return SETTINGS_DIFFER.has(error.error) ? 'provider_misconfigured' : 'invalid_answer';
  if (isOurSecret(error)) return 'provider_misconfigured';
  if (error instanceof oidc.WWWAuthenticateChallengeError) return 'invalid_answer';
  if (isOtherNonce(error)) return 'nonce_mismatch';
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'OAUTH_TIMEOUT' || error instanceof TypeError || isTimeout(error)
    ? 'provider_unreachable'
    : 'invalid_answer';
}

/** A challenge to anything but a bearer token, which is the person's, is one to the credentials of our client (RFC 6749, 5.2). */
const isOurSecret = (error: unknown): boolean =>
  error instanceof oidc.WWWAuthenticateChallengeError && error.cause.every(({ scheme }) => scheme !== 'bearer');

/** The ID token is one of the provider for us, of another sign-in (OpenID Connect Core 1.0, 3.1.3.7). */
function isOtherNonce(error: unknown): boolean {
  if (!(error instanceof oidc.ClientError) || error.code !== 'OAUTH_JWT_CLAIM_COMPARISON_FAILED') return false;
  const found = error.cause instanceof Error ? (error.cause.cause as { claim?: unknown } | undefined) : undefined;
  return found?.claim === 'nonce';
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
}

/** An address that answers in another way than it should is most often a wrong one. Without its query: it may be a code. */
function whence({ status, url }: Response): string {
  const at = URL.parse(url);
  return `HTTP ${status}${at === null ? '' : ` from ${at.origin}${at.pathname}`}`;
}

/**
 * For the log: codes and messages of the chain, and what the provider itself says is wrong (RFC 6749, 4.1.2.1 and 5.2).
 * Never a token or a code.
 */
export function explain(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 4; at = at.cause) {
    const code = 'code' in at ? ` (${String(at.code)})` : '';
    const oauth = 'error' in at && typeof at.error === 'string' ? ` ${at.error}` : '';
    const description =
      'error_description' in at && typeof at.error_description === 'string' ? ` "${at.error_description}"` : '';
    const status = 'status' in at && typeof at.status === 'number' ? `, HTTP ${at.status}` : '';
    parts.push(`${at.message}${code}${oauth}${description}${status}`);
    if (isOurSecret(at)) parts.push('it has another IDENTREE_OIDC_CLIENT_ID or IDENTREE_OIDC_CLIENT_SECRET');
    if (at.cause instanceof Response) parts.push(whence(at.cause));
  }
  return parts.join(': ').slice(0, 500);
}
