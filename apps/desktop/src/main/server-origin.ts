export type OriginProblem = 'empty' | 'not_an_address' | 'not_https' | 'user_in_address';

/**
 * Reads what a person types or pastes as the address of their server.
 *
 * @returns the origin in its one canonical form (RFC 6454, host in lower-case ASCII), which is the key of the profile.
 * `http` is accepted for `localhost` alone: everywhere else the credential would travel in clear.
 */
export function parseServerOrigin(typed: string): { ok: true; origin: string } | { ok: false; problem: OriginProblem } {
  const text = typed.trim();
  if (text === '') return { ok: false, problem: 'empty' };
  if (text.length > 300 || /[\s\\\p{C}]/u.test(text)) return { ok: false, problem: 'not_an_address' };
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  const withScheme = scheme ? text : `${/^localhost(:\d+)?(\/|$)/i.test(text) ? 'http' : 'https'}://${text}`;
  let url: URL;
  try {
    url = new URL(withScheme);
  } catch {
    return { ok: false, problem: 'not_an_address' };
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && url.hostname === 'localhost')) {
    return { ok: false, problem: url.protocol === 'http:' ? 'not_https' : 'not_an_address' };
  }
  if (url.username !== '' || url.password !== '') return { ok: false, problem: 'user_in_address' };
  // `example.com.` and `example.com` are one server and must be one profile.
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1);
  if (url.hostname === '' || url.hostname.endsWith('.')) return { ok: false, problem: 'not_an_address' };
  return { ok: true, origin: url.origin };
}

/** What a server is called before the person has named it: like its host, in the 40 characters of a name. */
export const newName = (origin: string): string => new URL(origin).host.slice(0, 40);

/** The address as people read it: without the scheme that everybody expects. `http` and a port stay visible. */
export const shownAddress = (origin: string): string => origin.replace(/^https:\/\//, '');
