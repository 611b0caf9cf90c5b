import { isIP } from 'node:net';

const NAME = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;
const NETGROUP = /^\+[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/;

export type CheckedHost =
  | { ok: true; kind: 'all' | 'name' | 'address' | 'netgroup' | 'wildcard'; negated: boolean; value: string }
  | { ok: false; negated: boolean; problem: string };

function isNetwork(text: string): boolean {
  const slash = text.indexOf('/');
  const [address, mask] = slash < 0 ? [text, null] : [text.slice(0, slash), text.slice(slash + 1)];
  const family = isIP(address);
  if (family === 0 || address.includes('%')) return false;
  if (mask === null) return true;
  if (/^[0-9]{1,3}$/.test(mask)) return Number(mask) <= (family === 4 ? 32 : 128);
  return family === 4 && isIP(mask) === 4;
}

/** Checks one host of a sudo rule. `value` is without the `!`. */
export function checkHost(text: string): CheckedHost {
  const negated = text.startsWith('!');
  const value = negated ? text.slice(1).trim() : text;
  const accept = (kind: 'all' | 'name' | 'address' | 'netgroup' | 'wildcard'): CheckedHost => ({
    ok: true,
    kind,
    negated,
    value,
  });
  const refuse = (problem: string): CheckedHost => ({ ok: false, negated, problem });
  if (value.startsWith('!')) return refuse('more than one "!"');
  if (value === 'ALL') return accept('all');
  if (/^all$/i.test(value)) return refuse('ALL is written in capitals');
  if (isNetwork(value)) return accept('address');
  if (value.includes('/')) return refuse('not a network');
  if (NETGROUP.test(value)) return accept('netgroup');
  // Lower case: sudoers would take a name in capitals for an alias.
  if (NAME.test(value)) return { ok: true, kind: 'name', negated, value: value.toLowerCase() };
  if (/[*?[]/.test(value) && /^[A-Za-z0-9.*?![\]-]{1,253}$/.test(value) && hostPattern(value))
    return accept('wildcard');
  return refuse('not a host name, address or netgroup');
}

/** A shell pattern for host names, without regard to case; null when it is malformed. */
export function hostPattern(pattern: string): RegExp | null {
  let source = '';
  for (let i = 0; i < pattern.length; i += 1) {
    const char = pattern[i]!;
    // Each star may only run to the next dot or literal once: no nested repetition, so no pattern can hang the server.
    if (char === '*') source += source.endsWith('.*') ? '' : '.*';
    else if (char === '?') source += '.';
    else if (char === '[') {
      const end = pattern.indexOf(']', i + 2);
      const set = end < 0 ? '' : pattern.slice(i + 1, end);
      if (!/^[!^]?[A-Za-z0-9-]+$/.test(set)) return null;
      source += `[${set.replace(/^!/, '^')}]`;
      i = end;
    } else if (/[A-Za-z0-9.-]/.test(char)) source += char.replace(/[.-]/, '\\$&');
    else return null;
  }
  if ((source.match(/\.\*/g) ?? []).length > 5) return null;
  try {
    return new RegExp(`^${source}$`, 'i');
  } catch {
    return null;
  }
}
