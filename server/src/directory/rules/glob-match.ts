/**
 * fnmatch(3) for one pattern, in time proportional to both lengths: a pattern of many stars cannot hang the server.
 *
 * @param pathname whether `*`, `?` and sets stop at slashes.
 */
export function globMatches(pattern: string, text: string, pathname: boolean): boolean {
  let p = 0;
  let t = 0;
  let starP = -1;
  let starT = 0;
  while (t < text.length) {
    const step = p < pattern.length ? matchOne(pattern, p, text[t]!, pathname) : null;
    if (step === 'star') {
      starP = p;
      starT = t;
      p += 1;
    } else if (step !== null) {
      p = step;
      t += 1;
    } else if (starP >= 0 && !(pathname && text[starT] === '/')) {
      starT += 1;
      t = starT;
      p = starP + 1;
    } else return false;
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}

/** Position after the part that matches one character; `star`; null: no match. */
function matchOne(pattern: string, p: number, char: string, pathname: boolean): number | 'star' | null {
  const sign = pattern[p]!;
  if (sign === '*') return 'star';
  if (pathname && char === '/') return sign === '/' ? p + 1 : null;
  if (sign === '?') return p + 1;
  if (sign === '\\' && p + 1 < pattern.length) return pattern[p + 1] === char ? p + 2 : null;
  if (sign !== '[') return sign === char ? p + 1 : null;
  const end = pattern.indexOf(']', p + 2);
  if (end < 0) return char === '[' ? p + 1 : null;
  let set = pattern.slice(p + 1, end);
  const negated = set.startsWith('!') || set.startsWith('^');
  if (negated) set = set.slice(1);
  let found = false;
  for (let i = 0; i < set.length; i += 1) {
    if (set[i + 1] === '-' && i + 2 < set.length) {
      if (char >= set[i]! && char <= set[i + 2]!) found = true;
      i += 2;
    } else if (set[i] === char) found = true;
  }
  return found !== negated ? end + 1 : null;
}
