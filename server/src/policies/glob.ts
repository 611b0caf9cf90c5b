/** A pattern that can be asked whether a text fits it, from its beginning to its end. */
export interface Glob {
  test(text: string): boolean;
}

/** What stands at one place of a pattern: anything of any length, or one character that this says fits. */
type Part = 'any' | ((char: string) => boolean);

/**
 * Shell-style patterns for user and host names: `*`, `?` and `[a-z]`, case-sensitive. Returns null for a pattern that
 * cannot be read: a rule that silently stopped matching would weaken the policy, so the loader refuses it.
 */
export function compileGlob(pattern: string): Glob | null {
  const parts: Part[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!;
    if (char === '*') parts.push('any');
    else if (char === '?') parts.push(() => true);
    else if (char === '[') {
      const end = pattern.indexOf(']', i + 2);
      const set = end < 0 ? '' : pattern.slice(i + 1, end);
      if (!/^[!^]?[a-zA-Z0-9._-]+$/.test(set)) return null;
      const one = charSet(set.replace(/^!/, '^'));
      if (one === null) return null;
      parts.push(one);
      i = end;
    } else if (/[a-zA-Z0-9._@-]/.test(char)) parts.push((given) => given === char);
    else return null;
  }
  return { test: (text) => matches(parts, text) };
}

function charSet(set: string): ((char: string) => boolean) | null {
  try {
    const one = new RegExp(`^[${set}]$`, 's');
    return (char) => one.test(char);
  } catch {
    return null;
  }
}

/**
 * Everybody who signs in may write a pattern, and `.*` in a regular expression takes exponential time with enough stars in
 * it. Where a text stops to fit, only the last star needs to take more: the time is pattern times text, whatever they are.
 */
function matches(parts: readonly Part[], text: string): boolean {
  let part = 0;
  let at = 0;
  let star = -1;
  let starAt = 0;
  while (at < text.length) {
    const expected = parts[part];
    if (expected === 'any') {
      star = part;
      starAt = at;
      part += 1;
    } else if (expected?.(text[at]!)) {
      part += 1;
      at += 1;
    } else if (star >= 0) {
      starAt += 1;
      at = starAt;
      part = star + 1;
    } else return false;
  }
  return parts.slice(part).every((rest) => rest === 'any');
}
