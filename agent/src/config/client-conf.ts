import { PASSWORD_TYPES, type PasswordType } from '#shared/break-glass-api.ts';
import { CLIENT_BOUNDS, type ClientDefaults } from '#shared/client-defaults.ts';
import { type ApprovalClass, approvalClass } from '#shared/decision.ts';
import { nearest } from '#shared/nearest.ts';
import { OFFLINE_GRANT_LONGEST_MS } from '#shared/offline-grant.ts';
import { AGE_RECIPIENT, SEALED_PARTS_MAX } from '#shared/sealed-password.ts';
import { terminalLine } from '#shared/visible-text.ts';
import { HASH_FILE } from '../break-glass/hash-file.ts';
import type { Sealing } from '../break-glass/sealing.ts';
import { readTrustedFile } from '../state/trusted-file.ts';

/** What client.conf says, and where it says nothing, what is built in. */
export interface ClientConf {
  /** Base URLs without a trailing slash: the server's own address, then other ways to it. */
  serverUrls: readonly [string, ...string[]];
  /** Path of a PEM bundle that replaces the system's certificate authorities; null: the system's. */
  caCert: string | null;
  /** The lowest class of approval that lets a command run here. */
  minimumClass: ApprovalClass;
  /** The longest that a request waits on this host, milliseconds. */
  timeoutMs: number;
  /** Whether `sudo -n`, which nobody waits for, may wait for an approver all the same (plugin of sudo). */
  noninteractive: 'refuse' | 'ask';
  /** The longest that an offline grant counts on this host, milliseconds; 0: it takes none. */
  offlineGrantMs: number;
  /** Whom people call after a refusal, in the operator's own words; null: nobody is named. */
  contact: string | null;
  breakGlass: BreakGlassConf;
  /** Of what a server may tell, what the file says itself. */
  said: ReadonlySet<keyof ClientDefaults>;
  /** Names that look like settings and are none, with the one that was probably meant. They change nothing. */
  unknown: readonly { name: string; meant: string | null }[];
}

/** The local password for when no server can be reached. */
export interface BreakGlassConf {
  enabled: boolean;
  /** Where its hash is kept. */
  file: string;
  /** How old it gets before it is replaced, milliseconds. */
  maximumAgeMs: number;
  type: PasswordType;
  /** To whom it is sealed before the server is given it; null: to nobody, so that the server can show it. */
  sealing: Sealing | null;
  /** The cost of bcrypt: each step doubles the work of an attacker who guesses, and of the person who is let in. */
  cost: number;
}

const DAY_MS = 24 * 3_600_000;

const CONTACT_MAX = 200;

/** Each of them may take five seconds before break-glass is asked for. */
const SERVERS_MAX = 8;

const DEFAULT_TIMEOUT_MS = 15 * 60_000;

/** What a server may tell, by its names in client.conf. */
export const CLIENT_DEFAULT_KEYS: Readonly<Record<keyof ClientDefaults, string>> = {
  timeoutMs: 'IDENTREE_TIMEOUT',
  breakGlassEnabled: 'IDENTREE_BREAKGLASS_ENABLED',
  breakGlassPasswordType: 'IDENTREE_BREAKGLASS_PASSWORD_TYPE',
  breakGlassRotationDays: 'IDENTREE_BREAKGLASS_ROTATION_DAYS',
};
const DEFAULT_NAMES = Object.keys(CLIENT_DEFAULT_KEYS) as (keyof ClientDefaults)[];

/** client.conf cannot be used; the message holds every problem, one per line. */
export class ConfigError extends Error {}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/**
 * Normalises a server URL. Plain http is for loopback only: everything that is signed stays authentic without TLS, but
 * what is asked and who answers would be readable on the network.
 *
 * @returns the URL without trailing slash, or a sentence that says what is wrong.
 */
export function checkServerUrl(text: string): { ok: true; url: string } | { ok: false; problem: string } {
  if (!URL.canParse(text)) return { ok: false, problem: `is not a URL: ${text}` };
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return { ok: false, problem: 'must start with https://' };
  if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname)) {
    return { ok: false, problem: 'must start with https:// (plain http is accepted for localhost only)' };
  }
  if (url.username !== '' || url.password !== '')
    return { ok: false, problem: 'must not hold a user name or password' };
  if (url.search !== '' || url.hash !== '') return { ok: false, problem: 'must not hold ? or #' };
  return { ok: true, url: `${url.origin}${url.pathname.replace(/\/+$/, '')}` };
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `90`, `90s`, `2m`, `1h30m`: a duration in milliseconds, null when it is none. A bare number means seconds. */
export function parseDuration(text: string): number | null {
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return null;
  let total = 0;
  for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) total += Number(value) * UNIT_MS[unit!]!;
  return total;
}

/** `KEY=VALUE` lines, `#` comments, optional `export`, one pair of quotes. Nothing is expanded. */
function parseLines(text: string, problems: string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const match = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/.exec(line);
    if (!match) {
      problems.push(`line ${index + 1} is not KEY=VALUE`);
      continue;
    }
    const [, key, value] = match as unknown as [string, string, string];
    if (values.has(key)) problems.push(`${key} is set twice`);
    values.set(key, /^(["']).*\1$/.test(value) && value.length >= 2 ? value.slice(1, -1) : value);
  }
  return values;
}

/** A whole number in a range; anything else is a problem. */
function wholeBetween(
  values: Pick<Map<string, string>, 'get'>,
  key: string,
  range: { least: number; most: number; absent: number },
  problems: string[],
): number {
  const text = values.get(key) || String(range.absent);
  const value = /^\d{1,6}$/.test(text) ? Number(text) : -1;
  if (value >= range.least && value <= range.most) return value;
  problems.push(`${key} must be a whole number from ${range.least} to ${range.most}`);
  return range.absent;
}

/** Named on the host itself: a server that named them could name itself. */
function readSealing(values: Pick<Map<string, string>, 'get'>, problems: string[]): Sealing | null {
  const recipients = (values.get('IDENTREE_BREAKGLASS_RECIPIENTS') ?? '').split(/[\s,]+/).filter((word) => word !== '');
  const name = 'IDENTREE_BREAKGLASS_RECIPIENTS';
  for (const recipient of recipients) {
    if (recipient.startsWith('AGE-SECRET-KEY-'))
      problems.push(`${name} holds a secret key: it takes the public one, age1…`);
    else if (!AGE_RECIPIENT.test(recipient))
      problems.push(`${name}: ${recipient.slice(0, 80)} is no recipient of age (age1…)`);
  }
  if (new Set(recipients).size !== recipients.length) problems.push(`${name} names one of them twice`);
  if (recipients.length > SEALED_PARTS_MAX) problems.push(`${name} must not name more than ${SEALED_PARTS_MAX}`);
  if (recipients.length === 0) {
    if (values.get('IDENTREE_BREAKGLASS_THRESHOLD'))
      problems.push(`IDENTREE_BREAKGLASS_THRESHOLD has no effect without ${name}`);
    return null;
  }
  const range = { least: 1, most: recipients.length, absent: 1 };
  return { recipients, threshold: wholeBetween(values, 'IDENTREE_BREAKGLASS_THRESHOLD', range, problems) };
}

function readBreakGlass(values: Pick<Map<string, string>, 'get'>, problems: string[]): BreakGlassConf {
  const enabled = values.get('IDENTREE_BREAKGLASS_ENABLED') || 'true';
  if (enabled !== 'true' && enabled !== 'false') problems.push('IDENTREE_BREAKGLASS_ENABLED must be true or false');
  const file = values.get('IDENTREE_BREAKGLASS_FILE') || HASH_FILE;
  if (!file.startsWith('/')) problems.push('IDENTREE_BREAKGLASS_FILE must be an absolute path');
  const named = values.get('IDENTREE_BREAKGLASS_PASSWORD_TYPE') || 'random';
  const type = PASSWORD_TYPES.find((known) => known === named);
  if (!type) problems.push(`IDENTREE_BREAKGLASS_PASSWORD_TYPE must be one of ${PASSWORD_TYPES.join(', ')}`);
  const days = { ...CLIENT_BOUNDS.breakGlassRotationDays, absent: 90 };
  // Above this, bcrypt would take longer than anybody waits for an answer.
  const cost = { least: 10, most: 16, absent: 12 };
  return {
    enabled: enabled === 'true',
    file,
    maximumAgeMs: wholeBetween(values, 'IDENTREE_BREAKGLASS_ROTATION_DAYS', days, problems) * DAY_MS,
    type: type ?? 'random',
    sealing: readSealing(values, problems),
    cost: wholeBetween(values, 'IDENTREE_BREAKGLASS_BCRYPT_COST', cost, problems),
  };
}

/** Null, and a problem, where there is none or one of them is of no use. */
function readServerUrls(text: string, problems: string[]): ClientConf['serverUrls'] | null {
  const name = 'IDENTREE_SERVER_URL';
  const urls: string[] = [];
  const words = text.split(/[\s,]+/).filter((part) => part !== '');
  if (words.length === 0) problems.push(text === '' ? `${name} is missing` : `${name} names no server`);
  for (const word of words) {
    const checked = checkServerUrl(word);
    if (!checked.ok) problems.push(`${name} ${checked.problem}`);
    else if (urls.includes(checked.url)) problems.push(`${name} names ${checked.url} twice`);
    else urls.push(checked.url);
  }
  const [first, ...others] = urls;
  if (first === undefined) return null;
  if (urls.length > SERVERS_MAX) problems.push(`${name} must not name more than ${SERVERS_MAX} servers`);
  return [first, ...others];
}

function contactOf(values: Pick<Map<string, string>, 'get'>): string | null {
  const contact = terminalLine(values.get('IDENTREE_CONTACT') ?? '').trim();
  return contact === '' ? null : contact;
}

/** A way in when all else fails: who asks for one must not find out in need that there is none. */
const COUNTED_ON = /^IDENTREE_BREAKGLASS(_|$)/;

const PREFIX = 'IDENTREE_';

/** What nobody reads, such as a setting that is misspelt. The prefix alone makes no two names near. */
function unknownNames(names: Iterable<string>, known: ReadonlySet<string>): ClientConf['unknown'] {
  const rests = [...known].map((name) => name.slice(PREFIX.length));
  return [...names]
    .filter((name) => name.startsWith(PREFIX) && !known.has(name))
    .map((name) => {
      const near = nearest(name.slice(PREFIX.length), rests);
      return { name, meant: near && `${PREFIX}${near}` };
    });
}

/** Parses the text of client.conf. Keys that are not ours are left alone. @throws ConfigError with all problems. */
export function parseClientConf(text: string, path: string): ClientConf {
  const problems: string[] = [];
  if (/[\u0000\ufffd]/.test(text)) problems.push('holds bytes that are not text');
  const lines = parseLines(text, problems);
  const known = new Set<string>();
  const values = {
    get(key: string): string | undefined {
      known.add(key);
      return lines.get(key);
    },
  };
  const serverUrls = readServerUrls(values.get('IDENTREE_SERVER_URL') ?? '', problems);
  const caCert = values.get('IDENTREE_CA_CERT') || null;
  if (caCert !== null && !caCert.startsWith('/')) problems.push('IDENTREE_CA_CERT must be an absolute path');
  const minimumClass = approvalClass.safeParse(values.get('IDENTREE_MINIMUM_CLASS') || 'policy');
  if (!minimumClass.success) problems.push(`IDENTREE_MINIMUM_CLASS must be one of ${approvalClass.options.join(', ')}`);
  const timeout = values.get('IDENTREE_TIMEOUT');
  const timeoutMs = timeout ? parseDuration(timeout) : DEFAULT_TIMEOUT_MS;
  const { least, most } = CLIENT_BOUNDS.timeoutMs;
  if (timeoutMs === null || timeoutMs < least || timeoutMs > most) {
    problems.push('IDENTREE_TIMEOUT must be a duration between 5s and 24h');
  }
  const noninteractive = values.get('IDENTREE_NONINTERACTIVE') || 'refuse';
  if (noninteractive !== 'refuse' && noninteractive !== 'ask') {
    problems.push('IDENTREE_NONINTERACTIVE must be refuse or ask');
  }
  const offlineGrantMs = parseDuration(values.get('IDENTREE_OFFLINE_GRANT') || '1h');
  if (offlineGrantMs === null || offlineGrantMs > OFFLINE_GRANT_LONGEST_MS) {
    problems.push('IDENTREE_OFFLINE_GRANT must be a duration of at most 1h; 0 for never');
  }
  const breakGlass = readBreakGlass(values, problems);
  const contact = contactOf(values);
  if ([...(contact ?? '')].length > CONTACT_MAX)
    problems.push(`IDENTREE_CONTACT must not be longer than ${CONTACT_MAX} characters`);
  for (const [key, value] of lines) {
    if (COUNTED_ON.test(key) && !known.has(key) && value !== '') {
      problems.push(`${key} asks for something of break-glass that this version does not do; remove it`);
    }
  }
  if (problems.length > 0 || serverUrls === null || !minimumClass.success) {
    throw new ConfigError(problems.map((problem) => `${path}: ${problem}`).join('\n'));
  }
  return {
    serverUrls,
    caCert,
    minimumClass: minimumClass.data,
    timeoutMs: timeoutMs!,
    noninteractive: noninteractive === 'ask' ? 'ask' : 'refuse',
    offlineGrantMs: offlineGrantMs!,
    contact,
    breakGlass,
    said: new Set(DEFAULT_NAMES.filter((name) => lines.get(CLIENT_DEFAULT_KEYS[name]))),
    unknown: unknownNames(lines.keys(), known),
  };
}

/** What counts on this host: what the server tells has a say only where the file has none. */
export function withDefaults(conf: ClientConf, told: ClientDefaults): ClientConf {
  const of = <Name extends keyof ClientDefaults>(name: Name): ClientDefaults[Name] =>
    conf.said.has(name) ? undefined : told[name];
  const { breakGlass } = conf;
  const days = of('breakGlassRotationDays');
  return {
    ...conf,
    timeoutMs: of('timeoutMs') ?? conf.timeoutMs,
    breakGlass: {
      ...breakGlass,
      enabled: of('breakGlassEnabled') ?? breakGlass.enabled,
      type: of('breakGlassPasswordType') ?? breakGlass.type,
      maximumAgeMs: days === undefined ? breakGlass.maximumAgeMs : days * DAY_MS,
    },
  };
}

/** Whom people call, by a file that may otherwise be of no use. Null also where it cannot be read. */
export async function readContact(path: string): Promise<string | null> {
  const bytes = await readTrustedFile(path, { maxBytes: 64 * 1024 }).catch(() => null);
  const contact = bytes && contactOf(parseLines(bytes.toString('utf8'), []));
  return contact && [...contact].slice(0, CONTACT_MAX).join('');
}

/** Reads client.conf. @throws ConfigError, UntrustedFile */
export async function loadClientConf(path: string): Promise<ClientConf> {
  const bytes = await readTrustedFile(path, { maxBytes: 64 * 1024 });
  if (bytes === null) {
    throw new ConfigError(
      `${path} does not exist. It needs one line: IDENTREE_SERVER_URL=https://your-identree-server`,
    );
  }
  return parseClientConf(bytes.toString('utf8'), path);
}
