import type { DirectorySettings } from '../settings.ts';
import type { Lint } from '../source/lint.ts';
import { claimOf, type DirectoryGroup, type DirectoryUser, order } from '../source/model.ts';
import { splitValues } from '../source/value-list.ts';
import { parseSshKey } from './ssh-key.ts';

const MAX_KEYS = 100;
const PATH = /^\/[A-Za-z0-9._/+@-]*$/;
const NO_HOME = ['/', '/root', '/etc', '/usr', '/bin', '/var'];
const NO_HOME_BELOW = ['/etc/', '/root/', '/proc/', '/sys/', '/dev/', '/boot/'];

// What NFKD leaves as it is, in the letters that people write instead.
const LETTERS: Record<string, string> = {
  ß: 'ss',
  æ: 'ae',
  Æ: 'AE',
  ø: 'o',
  Ø: 'O',
  đ: 'd',
  Đ: 'D',
  ł: 'l',
  Ł: 'L',
  œ: 'oe',
  Œ: 'OE',
  þ: 'th',
  Þ: 'Th',
  ð: 'd',
  Ð: 'D',
  ı: 'i',
};

function isPlainPath(path: string): boolean {
  return path.length <= 255 && PATH.test(path) && !path.split('/').includes('..');
}

/** The login shell: the claim where it is acceptable, else the default. */
export function shellOf(
  user: DirectoryUser,
  settings: DirectorySettings['accounts'],
  lint: (lint: Lint) => void,
): string {
  const claim = claimOf(user, 'loginShell')?.trim();
  if (!claim) return settings.defaultShell;
  if (isPlainPath(claim) && claim !== '/' && (settings.allowedShells?.includes(claim) ?? true)) return claim;
  lint({
    code: 'shell_rejected',
    subject: `user ${user.username}`,
    detail: `${shorten(claim)} is not an accepted shell`,
  });
  return settings.defaultShell;
}

/** The home directory: the claim where it is acceptable, else the pattern. */
export function homeOf(
  user: DirectoryUser,
  name: string,
  settings: DirectorySettings['accounts'],
  lint: (lint: Lint) => void,
): string {
  const usual = settings.defaultHome.replaceAll('%s', name);
  const claim = claimOf(user, 'homeDirectory')?.trim();
  if (!claim) return usual;
  // `//etc` and `/./etc` are /etc to the kernel.
  const normal = `/${claim
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
  const system = NO_HOME.includes(normal) || NO_HOME_BELOW.some((prefix) => `${normal}/`.startsWith(prefix));
  if (isPlainPath(claim) && !system) return normal;
  lint({
    code: 'home_rejected',
    subject: `user ${user.username}`,
    detail: `${shorten(claim)} is not an accepted home`,
  });
  return usual;
}

/** First and last name, else the display name, else the account name. */
export function commonName(user: DirectoryUser, name: string): string {
  return readable(`${user.firstName} ${user.lastName}`) || readable(user.displayName) || name;
}

/** Text for people: no control characters, one space at a time. */
export function readable(text: string): string {
  return text.replace(/[\x00-\x20\x7f-\x9f\u2028\u2029]+/g, ' ').trim();
}

/** The comment field of a passwd line: printable ASCII without its separators, at most 127 bytes. */
export function gecosOf(cn: string, name: string): string {
  const ascii = cn
    .replace(/[ßæÆøØđĐłŁœŒþÞðÐı]/g, (letter) => LETTERS[letter]!)
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[:,]/g, ' ')
    .replace(/[^\x20-\x7e]/gu, '?')
    .replace(/ +/g, ' ')
    .trim()
    .slice(0, 127)
    .trim();
  return ascii === '' ? name : ascii;
}

/** Accepted SSH keys of the claims `sshPublicKey`, `sshPublicKey1` …, in that order, each once. */
export function sshKeysOf(user: DirectoryUser, lint: (lint: Lint) => void): string[] {
  const claims = user.customClaims
    .map(({ key, value }) => ({ number: /^sshPublicKey([0-9]{0,6})$/.exec(key)?.[1], value }))
    .filter((claim): claim is { number: string; value: string } => claim.number !== undefined)
    .sort((a, b) => Number(a.number) - Number(b.number) || order(a.number, b.number));
  const keys = new Map<string, string>();
  for (const { value } of claims) {
    if (value.trim() === '') continue;
    const parsed = parseSshKey(value);
    if (!parsed.ok) lint({ code: 'ssh_key_rejected', subject: `user ${user.username}`, detail: parsed.problem });
    else if (keys.size >= MAX_KEYS) {
      lint({ code: 'ssh_key_rejected', subject: `user ${user.username}`, detail: `more than ${MAX_KEYS} keys` });
      break;
    } else if (!keys.has(parsed.identity)) keys.set(parsed.identity, parsed.key);
  }
  return [...keys.values()];
}

const HOST = /^!?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

/**
 * Hosts that the members of a group may use, from its claim `accessHosts`, for sssd's `ldap_access_order = host`.
 *
 * @param hostsOf names of the enrolled hosts in a host group.
 * @returns null when the group says nothing about hosts.
 */
export function accessHostsOf(
  group: DirectoryGroup,
  settings: DirectorySettings['access'],
  hostsOf: (hostGroup: string) => readonly string[],
  lint: (lint: Lint) => void,
): string[] | null {
  const claim = claimOf(group, 'accessHosts');
  if (claim === undefined) return null;
  const reject = (value: string, why: string) =>
    lint({ code: 'access_value_rejected', subject: `group ${group.name}`, detail: `${shorten(value)}: ${why}` });
  const values = splitValues(claim);
  if (values === null) {
    reject(claim, 'the list cannot be read');
    return [];
  }
  const hosts: string[] = [];
  for (const value of values) {
    if (value.toUpperCase() === 'ALL' || value === '*') {
      if (settings.allowAll) hosts.push('*');
      else reject(value, 'all hosts are not allowed here');
    } else if (value.startsWith('%')) hosts.push(...hostsOf(value.slice(1)));
    else if (HOST.test(value) && !/^!?(all|any)$/i.test(value)) hosts.push(value.toLowerCase());
    else reject(value, 'not a host name');
  }
  return hosts;
}

function shorten(text: string): string {
  const shown = readable(text);
  return shown.length > 60 ? `${shown.slice(0, 60)}…` : shown;
}
