import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { ERASABLE_TOPICS, EVENTS, eventKind, type Topic } from '#shared/events.ts';
import { readTypedUrl } from '../outbound/typed-url.ts';
import { parseBaseDn } from '../platform/base-dn.ts';

/** What a source gives: environment and secret files give text, TOML may give a list. */
export type RawValue = string | readonly string[];

const asText = (raw: RawValue): string => (typeof raw === 'string' ? raw.trim() : raw.join(','));

const LOOPBACK_NAME = /^(localhost|[a-z0-9-]+\.localhost)$/;

/** True for names and addresses that never leave the machine. `hostname` as `URL` gives it, brackets included. */
export function isLoopback(hostname: string): boolean {
  if (LOOPBACK_NAME.test(hostname)) return true;
  const bare = hostname.replace(/^\[|\]$/g, '');
  return ipaddr.isValid(bare) && ipaddr.process(bare).range() === 'loopback';
}

/** Builds a zod schema from a reader that returns the value, or says what is wrong by throwing a {@link Wrong}. */
function reader<T>(read: (text: string, raw: RawValue) => T): z.ZodType<T, RawValue> {
  return z.custom<RawValue>().transform((raw, context) => {
    try {
      return read(asText(raw), raw);
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      context.addIssue({ code: 'custom', message: error.message, params: { fix: error.fix } });
      return z.NEVER;
    }
  });
}

/** What is wrong with a value and how to repair it. Never quotes the value: it may be a secret. */
class Wrong extends Error {
  readonly fix: string;
  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}

/** One line of text. */
export const text = (maxLength = 4096): z.ZodType<string, RawValue> =>
  reader((value) => {
    if (value.length > maxLength) throw new Wrong(`is longer than ${maxLength} characters`, 'Shorten it.');
    if (/[\u0000-\u001f\u007f]/.test(value)) throw new Wrong('contains a control character', 'Write it on one line.');
    return value;
  });

/** An absolute path. */
export const path: z.ZodType<string, RawValue> = reader((value) => {
  if (!value.startsWith('/') || value.includes('\0')) {
    throw new Wrong('is not an absolute path', 'Write the whole path, beginning with a slash.');
  }
  return value;
});

/** A program by its whole path, and its arguments. No shell reads them, so what only a shell understands is refused. */
export const commandWords: z.ZodType<string[], RawValue> = reader((value) => {
  const words = value.split(/ +/).filter((word) => word !== '');
  if (!words[0]?.startsWith('/'))
    throw new Wrong('does not begin with the whole path of a program', 'Write it like /usr/local/bin/name.');
  if (/[\u0000-\u001f\u007f"'`$\\|&;<>(){}*?~#]/.test(value)) {
    throw new Wrong('holds what only a shell would understand', 'Put it into a script, and name the script.');
  }
  return words;
});

/** Go's ParseBool, which the names and files of earlier installations were written for. */
export const flag: z.ZodType<boolean, RawValue> = reader((value) => {
  if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw new Wrong('is neither true nor false', 'Write true or false.');
});

export const choice = <const T extends string>(...allowed: readonly T[]): z.ZodType<T, RawValue> =>
  reader((value) => {
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw new Wrong('is not a known value', `Write one of: ${allowed.join(', ')}.`);
    return found;
  });

export const integer = (min: number, max: number): z.ZodType<number, RawValue> =>
  reader((value) => {
    const number = /^-?[0-9]{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) {
      throw new Wrong(`is not a whole number from ${min} to ${max}`, `Write a number from ${min} to ${max}.`);
    }
    return number;
  });

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads a duration in Go's syntax (`90s`, `1h30m`), and days beside it. Milliseconds, or null when it is none. */
export function parseDuration(value: string): number | null {
  if (!/^([0-9]{1,9}(ms|s|m|h|d))+$/.test(value)) return null;
  let total = 0;
  for (const [, amount, unit] of value.matchAll(/([0-9]+)(ms|s|m|h|d)/g)) total += Number(amount) * UNIT_MS[unit!]!;
  return total;
}

/** A duration in milliseconds between two others, all in the syntax of {@link parseDuration}. */
export const duration = (min: string, max: string): z.ZodType<number, RawValue> =>
  reader((value) => {
    const milliseconds = parseDuration(value);
    if (milliseconds === null) throw new Wrong('is not a duration', 'Write it like 90s, 5m or 1h30m.');
    if (milliseconds < parseDuration(min)! || milliseconds > parseDuration(max)!) {
      throw new Wrong(`is not between ${min} and ${max}`, `Write a duration from ${min} to ${max}.`);
    }
    return milliseconds;
  });

/** The same for settings that earlier installations also wrote as a number of seconds. */
export const durationOrSeconds = (min: string, max: string): z.ZodType<number, RawValue> => {
  const type = duration(min, max);
  return z
    .custom<RawValue>()
    .transform((raw) => (/^[0-9]{1,9}$/.test(asText(raw)) ? `${asText(raw)}s` : raw))
    .pipe(type);
};

/** Comma-separated names, or a TOML list, whose items may then hold commas. */
export const list: z.ZodType<string[], RawValue> = reader((_, raw) => {
  const items = (typeof raw === 'string' ? raw.split(',') : raw)
    .map((item) => item.trim())
    .filter((item) => item !== '');
  return [...new Set(items)];
});

/** Scopes of OAuth (RFC 6749, 3.3), separated by blanks or commas, or a TOML list. `openid` is always one of them. */
export const scopes: z.ZodType<string[], RawValue> = reader((_, raw) => {
  const items = (typeof raw === 'string' ? raw.split(/[\s,]+/) : raw).map((item) => item.trim()).filter((item) => item);
  if (!items.every((item) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(item))) {
    throw new Wrong('holds what is no scope', 'Write scopes like: openid profile email groups');
  }
  return [...new Set(['openid', ...items])];
});

/** Whether a network is all of IPv4 or of IPv6. All of IPv4 can be written as a part of IPv6 as well. */
function isEverything(address: string, bits: number): boolean {
  const parsed = ipaddr.parse(address);
  return bits === 0 || (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress() && bits <= 96);
}

/** Networks in CIDR notation; a bare address is a network of one. `everything`: why all addresses are too many. */
const networksOf = (whose: string, everything: string): z.ZodType<string[], RawValue> =>
  list.transform((items, context) =>
    items.map((item) => {
      const [address = '', bits] = item.split('/');
      const valid = ipaddr.isValid(address) && (bits === undefined ? true : ipaddr.isValidCIDR(item));
      if (!valid || (ipaddr.IPv4.isValid(address) && !ipaddr.IPv4.isValidFourPartDecimal(address))) {
        context.addIssue({
          code: 'custom',
          message: `holds "${item}", which is no network`,
          params: { fix: `List the addresses of ${whose}, like 10.0.0.5 or 10.0.0.0/24, separated by commas.` },
        });
      } else if (bits !== undefined && isEverything(address, Number(bits))) {
        context.addIssue({
          code: 'custom',
          message: `${everything.replace('{}', item)}`,
          params: { fix: `List only the addresses of ${whose}.` },
        });
      }
      return bits === undefined ? `${address}/${ipaddr.IPv6.isValid(address) ? 128 : 32}` : item;
    }),
  );

/** Whose word about a client is taken. */
export const networks = networksOf(
  'your own proxies',
  'trusts everybody ({}), so anyone could pretend to come from any address',
);

/** Where this server may be led to by an address that somebody typed. */
export const openedNetworks = networksOf('your own receivers', 'opens every network ({}), this machine among them');

function url(value: string): URL {
  const typed = readTypedUrl(value);
  if (!typed.ok) throw new Wrong(typed.problem, typed.fix);
  const parsed = typed.url;
  if (parsed.protocol === 'http:' && !isLoopback(parsed.hostname)) {
    // An attacker on the path could read sessions and swap the page that people approve on.
    throw new Wrong('is plain http to another machine', 'Use https. Plain http is accepted for localhost only.');
  }
  return parsed;
}

/** Where people and hosts reach the server: scheme, name and port, nothing else. */
export const origin: z.ZodType<string, RawValue> = reader((value) => {
  const parsed = url(value);
  if (parsed.pathname !== '/' || parsed.search || parsed.hash || value.includes('?') || value.includes('#')) {
    throw new Wrong('has a path', 'Give scheme, name and port only: identree needs a host name of its own.');
  }
  return parsed.origin;
});

/** An OIDC issuer, kept exactly as written because it is compared letter by letter (OpenID Connect Discovery 4.3). */
export const issuer: z.ZodType<string, RawValue> = reader((value) => {
  const parsed = url(value);
  if (parsed.search || parsed.hash)
    throw new Wrong('has a query or fragment', 'Copy the issuer from your identity provider.');
  return value;
});

/** Where another service is, with the path that its addresses begin with. No slash at the end. */
export const serviceUrl: z.ZodType<string, RawValue> = reader((value) => {
  const parsed = url(value);
  if (parsed.search || parsed.hash)
    throw new Wrong('has a query or fragment', 'Give scheme, name, port and path only.');
  return value.replace(/\/+$/, '');
});

/** Bytes in hex. */
export const hexBytes = (least: number): z.ZodType<Buffer, RawValue> =>
  reader((value) => {
    if (!/^([0-9a-fA-F]{2})+$/.test(value)) throw new Wrong('is not hex', 'Make one with: openssl rand -hex 32');
    if (value.length < 2 * least) {
      throw new Wrong(`is shorter than ${least} bytes`, 'Make one with: openssl rand -hex 32');
    }
    return Buffer.from(value, 'hex');
  });

/** A point in time, milliseconds since the epoch (RFC 3339). */
export const time: z.ZodType<number, RawValue> = reader((value) => {
  const parsed = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(value)
    ? Date.parse(value)
    : Number.NaN;
  if (Number.isNaN(parsed)) throw new Wrong('is not a point in time', 'Write it like 2026-01-31T00:00:00Z.');
  return parsed;
});

/** Where to listen. An empty host means every address of the machine. */
export const listenAddress: z.ZodType<{ host: string; port: number }, RawValue> = reader((value) => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]*)):([0-9]{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2] ?? '';
  if (!match || port > 65535 || (match[1] !== undefined && !ipaddr.IPv6.isValid(match[1]))) {
    throw new Wrong('is not an address to listen on', 'Write it like :8090, 127.0.0.1:8090 or [::1]:8090.');
  }
  return { host: host === '' ? '::' : host, port };
});

/** An address to listen on, or null for `off`. */
export const listenAddressOrOff: z.ZodType<{ host: string; port: number } | null, RawValue> = z
  .custom<RawValue>()
  .transform((raw, context) => {
    if (asText(raw) === 'off') return null;
    const parsed = listenAddress.safeParse(raw);
    if (parsed.success) return parsed.data;
    context.addIssue({
      code: 'custom',
      message: 'is not an address to listen on',
      params: { fix: 'Write it like :389 or 127.0.0.1:389, or off.' },
    });
    return z.NEVER;
  });

/** Suffix of a directory tree (RFC 4514). */
export const baseDn: z.ZodType<string, RawValue> = reader((value) => {
  if (parseBaseDn(value) === null) {
    throw new Wrong('is not the base of a directory', 'Write it like dc=example,dc=com, with dc, o, ou or c.');
  }
  return value;
});

/** Where hosts find the directory: scheme, name and port. */
export const ldapUrl: z.ZodType<string, RawValue> = reader((value) => {
  const parsed = /^(ldaps?):\/\/([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?\/?$/.exec(value);
  if (!parsed || Number(parsed[3] ?? 1) > 65_535) {
    throw new Wrong('is not an ldap or ldaps URL', 'Write it like ldaps://identree.example.com:636.');
  }
  return value.replace(/\/$/, '');
});

const PLAIN_PATH = /^\/[A-Za-z0-9._/+@-]*$/;

/** Absolute paths of plain characters, as a passwd line may hold them. */
export const plainPath: z.ZodType<string, RawValue> = reader((value) => {
  if (!PLAIN_PATH.test(value) || value.split('/').includes('..')) {
    throw new Wrong('is not a plain absolute path', 'Use letters, digits and . _ / + @ - only.');
  }
  return value;
});

/** A home folder in which every `%s` stands for the user name. */
export const homePattern: z.ZodType<string, RawValue> = reader((value) => {
  const path = value.replaceAll('%s', 'user');
  if (!PLAIN_PATH.test(path) || path.split('/').includes('..')) {
    throw new Wrong('is not a pattern of home folders', 'Write it like /home/%s.');
  }
  return value;
});

const MAX_ID = 2_147_483_647;

/** Ranges of numbers, `low-high`, separated by commas; a single number is a range of one. */
export const idRanges: z.ZodType<(readonly [number, number])[], RawValue> = reader((_, raw) => {
  const items = (typeof raw === 'string' ? raw.split(',') : raw).map((item) => item.trim()).filter((item) => item);
  return items.map((item) => {
    const [, low = '', high = low] = /^([0-9]{1,10})(?:\s*-\s*([0-9]{1,10}))?$/.exec(item) ?? [];
    if (low === '' || Number(low) > Number(high) || Number(high) > MAX_ID) {
      throw new Wrong(`holds "${item}", which is no range of numbers`, 'Write ranges like 300000-310000.');
    }
    return [Number(low), Number(high)] as const;
  });
});

/** One range of numbers. */
export const idRange: z.ZodType<readonly [number, number], RawValue> = idRanges.transform((ranges, context) => {
  if (ranges.length !== 1) {
    context.addIssue({
      code: 'custom',
      message: 'is not one range of numbers',
      params: { fix: 'Write it like 1000-60000.' },
    });
  }
  return ranges[0] ?? [0, 0];
});

const UNIT_OCTETS: Record<string, number> = { '': 1, KB: 1024, MB: 1_048_576, GB: 1_073_741_824 };

/** A size in octets: a number, or one with KB, MB or GB, which are powers of 1024. */
export const octets = (min: number, max: number): z.ZodType<number, RawValue> =>
  reader((value) => {
    const [, amount = '', unit = ''] = /^([0-9]{1,12})\s*(KB|MB|GB)?$/i.exec(value) ?? [];
    const size = amount === '' ? Number.NaN : Number(amount) * UNIT_OCTETS[unit.toUpperCase()]!;
    if (!(size >= min && size <= max)) {
      throw new Wrong(`is not a size from ${min} to ${max} bytes`, 'Write it like 65536, 64KB or 1MB.');
    }
    return size;
  });

/** PEM certificates, or the absolute path of a file with some. */
export const pemOrPath: z.ZodType<string, RawValue> = reader((value) => {
  if (value.startsWith('/') || value.includes('-----BEGIN CERTIFICATE-----')) return value;
  throw new Wrong('is neither a path nor a certificate', 'Name a file, or paste certificates in PEM.');
});

/** Names of events and of topics, which stand for all events of theirs. Empty: every event. */
export const eventNames: z.ZodType<string[], RawValue> = list.transform((items, context) => {
  const topics = new Set<string>(Object.values(EVENTS).map(({ topic }) => topic));
  for (const item of items) {
    if (topics.has(item) || eventKind(item) !== null) continue;
    context.addIssue({
      code: 'custom',
      message: `holds "${item}", which is neither an event nor a topic`,
      params: { fix: `docs/events.md lists the events. Topics: ${[...topics].join(', ')}.` },
    });
  }
  return items;
});

/** Days for each of some topics of events, like `attempts=30,sessions=90`. What is not named has no end. */
export const daysOfTopics: z.ZodType<Partial<Record<Topic, number>>, RawValue> = reader((_, raw) => {
  const items = (typeof raw === 'string' ? raw.split(',') : raw).map((item) => item.trim()).filter((item) => item);
  const found = new Map<Topic, number>();
  for (const item of items) {
    const [, name, days] = /^([a-z]+)\s*=\s*([1-9][0-9]{0,4})$/.exec(item) ?? [];
    const topic = ERASABLE_TOPICS.find((known) => known === name);
    if (topic === undefined) {
      const fix = `Write it like attempts=30,sessions=90. Topics: ${ERASABLE_TOPICS.join(', ')}.`;
      throw new Wrong(`holds "${item}", which is no topic with a number of days`, fix);
    }
    // What is erased sooner than somebody meant does not come back.
    if (found.has(topic)) throw new Wrong(`names ${topic} twice`, 'Name each topic once.');
    found.set(topic, Number(days));
  }
  return Object.fromEntries(found);
});

/** Where lines go: the standard output of the server, or a file. */
export const auditLog: z.ZodType<{ to: 'stdout' } | { to: 'file'; path: string }, RawValue> = reader((value) => {
  if (value === 'stdout') return { to: 'stdout' };
  const file = value.replace(/^file:/, '');
  if (!file.startsWith('/') || file.endsWith('/') || /[\u0000-\u001f\u007f]/.test(file)) {
    throw new Wrong(
      'is neither stdout nor the absolute path of a file',
      'Write stdout or file:/var/log/identree/audit.jsonl.',
    );
  }
  return { to: 'file', path: file };
});

const SYSLOG_PORTS = { udp: 514, tcp: 601, tls: 6514 } as const;

/** A syslog receiver, with the port of its transport unless another one is said. */
export const syslogUrl: z.ZodType<
  { transport: 'udp' | 'tcp' | 'tls'; host: string; port: number; framing: 'octet-counting' | 'newline' },
  RawValue
> = reader((value) => {
  const [, scheme = '', host = '', port, framing] =
    /^(udp|tcp|tls):\/\/([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?\/?(?:\?framing=(newline|octet-counting))?$/.exec(
      value,
    ) ?? [];
  const transport = (['udp', 'tcp', 'tls'] as const).find((known) => known === scheme);
  if (transport === undefined || Number(port ?? 1) > 65_535 || Number(port ?? 1) === 0) {
    throw new Wrong('is not the address of a syslog receiver', 'Write it like tls://syslog.example.com:6514.');
  }
  return {
    transport,
    host: host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? SYSLOG_PORTS[transport] : Number(port),
    framing: framing === 'newline' ? 'newline' : 'octet-counting',
  };
});

const SAMPLE =
  /change[-_ ]?me|change[-_ ]?this|replace[-_ ]?(me|with)|your[-_ ]|example|sample|dummy|placeholder|insecure|default|secret[-_ ]?(key|here)?$|^password|^test|^admin|123456|abcdef/i;

/** A secret that this server checks: long, and not one from a manual or a keyboard row. */
export const secret = (minLength: number): z.ZodType<string, RawValue> =>
  reader((value) => {
    const fix = `Make one with: openssl rand -hex ${Math.max(16, minLength)}`;
    if (value.length < minLength) throw new Wrong(`is shorter than ${minLength} characters`, fix);
    if (SAMPLE.test(value)) throw new Wrong('looks like a sample from a manual', fix);
    // What the command above makes has fewer different characters than this once in 10^12 times.
    if (new Set(value).size < 6) throw new Wrong('is too simple to be a secret', fix);
    return value;
  });

/** A secret that another service issued: only samples are refused. */
export const issuedSecret: z.ZodType<string, RawValue> = reader((value) => {
  if (/change[-_ ]?me|your[-_ ]|^(secret|password|client[-_ ]secret|example)$/i.test(value)) {
    throw new Wrong('looks like a sample from a manual', 'Copy the one that was issued for identree.');
  }
  return value;
});

/** The same, for a header of HTTP. */
export const headerSecret: z.ZodType<string, RawValue> = issuedSecret.refine((value) => !/[^\t\x20-\x7e]/.test(value), {
  error: 'contains a character that no header can carry',
  params: { fix: 'Copy the token alone, on one line.' },
});
