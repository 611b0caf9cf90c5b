const FALLBACK = '/';
const MAX_LENGTH = 2048;

function decodeFully(text: string): string | null {
  let current = text;
  // Three rounds: a proxy or a browser may decode once more than expected.
  for (let round = 0; round < 3; round++) {
    let next: string;
    try {
      next = decodeURIComponent(current);
    } catch {
      return null;
    }
    if (next === current) return current;
    current = next;
  }
  return current;
}

/**
 * Where to go after the sign-in: a path on this server, or `/`. Anything that some browser or proxy could read as another
 * place (`//host`, `/%2f%2fhost`, backslashes, control characters, `/./ /host`) collapses to `/`: after a sign-in on the
 * right page people trust the next one.
 */
export function localPath(returnTo: unknown): string {
  if (typeof returnTo !== 'string' || returnTo.length > MAX_LENGTH || !returnTo.startsWith('/')) return FALLBACK;
  const [path = ''] = returnTo.split(/[?#]/, 1);
  const decodedPath = decodeFully(path);
  if (decodedPath === null) return FALLBACK;
  for (const text of [returnTo, decodedPath]) {
    if (/[\u0000-\u0020\u007f-\u00a0\u2028\u2029\ufeff\\]/.test(text)) return FALLBACK;
  }
  if (decodedPath.includes('//')) return FALLBACK;
  const base = 'http://identree.invalid';
  const url = URL.parse(returnTo, base);
  if (url === null || url.origin !== base || url.pathname.startsWith('//')) return FALLBACK;
  // As the URL parser reads it: dot segments are gone and nothing is left to interpret.
  return `${url.pathname}${url.search}${url.hash}`;
}
