/** Which of the shell's own pages a policy is for. */
export type ShellPage = 'console' | 'setup';

/**
 * The Content-Security-Policy of the shell's pages. Scripts, pictures and connections come from the page's own origin
 * only, which the main process serves: there is no address to which injected script could send anything.
 *
 * @param nonce for the style elements that the console makes at run time; must be new for every answer.
 */
export function contentSecurityPolicy(page: ShellPage, nonce: string): string {
  if (!/^[A-Za-z0-9_-]{16,}$/.test(nonce)) throw new TypeError('a CSP nonce of at least 16 characters is needed');
  const directives = [
    "default-src 'none'",
    "script-src 'self'",
    page === 'console' ? `style-src 'self' 'nonce-${nonce}'` : "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    page === 'console' ? "connect-src 'self'" : "connect-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "object-src 'none'",
  ];
  return directives.join('; ');
}
