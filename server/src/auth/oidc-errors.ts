import * as oidc from 'openid-client';

/** What an error of the library means for the person who signs in. */
export function problemOf(error: unknown): 'refused_by_provider' | 'invalid_answer' | 'provider_unreachable' {
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
    parts.push(`${at.message}${code}${oauth}${description}`);
  }
  return parts.join(': ').slice(0, 500);
}
