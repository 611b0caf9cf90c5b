/**
 * Shell-style patterns for user and host names: `*`, `?` and `[a-z]`, case-sensitive. Returns null for a pattern that
 * cannot be read: a rule that silently stopped matching would weaken the policy, so the loader refuses it.
 */
export function compileGlob(pattern: string): RegExp | null {
  let source = '';
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!;
    if (char === '*') source += '.*';
    else if (char === '?') source += '.';
    else if (char === '[') {
      const end = pattern.indexOf(']', i + 2);
      const set = end < 0 ? '' : pattern.slice(i + 1, end);
      if (!/^[!^]?[a-zA-Z0-9._-]+$/.test(set)) return null;
      source += `[${set.replace(/^!/, '^')}]`;
      i = end;
    } else if (/[a-zA-Z0-9._@-]/.test(char)) source += char.replace(/[.-]/, '\\$&');
    else return null;
  }
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    return null;
  }
}
