import { userCode } from '#shared/names.ts';

/** The pages that the shell opens in the system browser. */
export type ExternalLink =
  | { kind: 'approve'; code: string }
  | { kind: 'sign-in'; codeChallenge: string; redirectUri: string; state: string };

/** The address of such a page on the server of the profile. */
export function externalUrl(origin: string, link: ExternalLink): string {
  if (link.kind === 'approve') return `${origin}/approve/${link.code}`;
  const query = new URLSearchParams({
    code_challenge: link.codeChallenge,
    code_challenge_method: 'S256',
    redirect_uri: link.redirectUri,
    state: link.state,
  });
  return `${origin}/desktop/sign-in?${query}`;
}

/**
 * The last check before anything is handed to the desktop's own opener, which would start a program for `file:`,
 * `smb:` or any registered scheme: https (http for localhost) on exactly the profile's origin, and one of two pages.
 */
export function mayOpenExternally(url: string, origin: string): boolean {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return false;
  }
  // What was checked and what is opened must be the same text: no white space, case or encoding left to normalise.
  if (parsed.href !== url) return false;
  if (parsed.protocol !== 'https:' && !(parsed.protocol === 'http:' && parsed.hostname === 'localhost')) return false;
  if (parsed.origin !== origin || parsed.username !== '' || parsed.password !== '' || parsed.hash !== '') return false;
  const approve = /^\/approve\/([^/]+)$/.exec(parsed.pathname);
  if (approve) return parsed.search === '' && userCode.safeParse(approve[1]).success;
  return parsed.pathname === '/desktop/sign-in';
}
