import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { z } from 'zod';
import { canonicalSha256 } from '#shared/digest.ts';
import { systemReason } from '#shared/system-error.ts';
import type { DirectorySettings } from '../settings.ts';
import { type AssignedNumber, type Counters, indexNumbers, RESERVED } from './ids.ts';
import type { NameRecord } from './names.ts';

/** The map as `uidmap.json` carries it. */
export interface UidMapFile extends Counters {
  readonly generation: number;
  readonly numbers: readonly AssignedNumber[];
  readonly names: readonly NameRecord[];
}

export type ReadUidMap =
  | { ok: true; map: UidMapFile; version: 1 | 2 }
  | { ok: false; missing: true }
  | { ok: false; missing: false; problem: string };

const MAX_BYTES = 64 * 1024 * 1024;

const numbers = z.record(z.string().min(1).max(1024), z.int());
const retired = z.record(
  z.string().min(1).max(1024),
  z.object({ id: z.int(), name: z.string(), at: z.iso.datetime() }),
);
// Version 1 has the first four members only.
const fileSchema = z.object({
  version: z.literal(2).optional(),
  // Earlier programs wrote null for an empty map. A file without them is no map.
  uids: numbers.nullable().transform((map) => map ?? {}),
  gids: numbers.nullable().transform((map) => map ?? {}),
  nextUID: z.int().optional(),
  nextGID: z.int().optional(),
  upgPolicy: z.enum(['match', 'separate']).optional(),
  retired: z.object({ uids: retired, gids: retired }).optional(),
  names: z
    .record(
      z.string(),
      z.object({ owner: z.string(), since: z.iso.datetime(), leftAt: z.iso.datetime().nullable().optional() }),
    )
    .optional(),
  generation: z.int().min(0).optional(),
  checksum: z.string().optional(),
});

const GROUP = 'group:';

/**
 * `uuid` for the main issuer, `issuer uuid` for others and for what could be taken for something else; `group:` before a
 * group whose id is also a user's.
 */
function spell(of: { issuer: string; subject: string }, issuer: string): string {
  const plain = of.issuer === issuer && !of.subject.includes(' ') && !of.subject.startsWith(GROUP);
  return plain && of.subject !== '__proto__' ? of.subject : `${of.issuer} ${of.subject}`;
}

function unspell(key: string, issuer: string): { issuer: string; subject: string } {
  const space = key.indexOf(' ');
  return space < 0 ? { issuer, subject: key } : { issuer: key.slice(0, space), subject: key.slice(space + 1) };
}

const checksumOf = (content: object): string => `sha256:${canonicalSha256(content)}`;

/** Why a file was not read. */
export type NotRead = Extract<ReadUidMap, { ok: false }>;

/** What the numbers in a file are measured by. */
export type UidMapSettings = Pick<DirectorySettings, 'issuer' | 'ids'>;

/** A map as it is written in a file, whatever it says. */
interface WrittenMap {
  readonly map: UidMapFile;
  readonly version: 1 | 2;
  /** False: version 2, and not what this program wrote. */
  readonly checksumFits: boolean;
  /** What the file says was to be given next. */
  readonly next: { readonly uid: number; readonly gid: number };
}

/** A file that is there and is no use. */
export const problemOf = (path: string, text: string): NotRead => ({
  ok: false,
  missing: false,
  problem: `${path}: ${text}`,
});

/** Reads a file that others cannot write. Numbers may be out of range or twice in it. */
export async function readWritten(
  path: string,
  { issuer, ids }: UidMapSettings,
  now: number,
): Promise<NotRead | (WrittenMap & { ok: true })> {
  const problem = (text: string): NotRead => problemOf(path, text);
  let text: string;
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const info = await file.stat();
      if (!info.isFile()) return problem('not a regular file');
      if ((info.mode & 0o022) !== 0) return problem('writable by group or others');
      if (info.size > MAX_BYTES) return problem('larger than 64 MiB');
      text = await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? { ok: false, missing: true } : problem(systemReason(error) ?? 'cannot be read');
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return problem('not valid JSON. Restore it from a backup');
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) return problem(z.prettifyError(parsed.error));
  const content = parsed.data;
  const { checksum, ...rest } = json as Record<string, unknown>;
  const checksumFits = content.version !== 2 || checksum === checksumOf(rest);

  const rows: AssignedNumber[] = [];
  const users = new Set([...Object.keys(content.uids), ...Object.keys(content.retired?.uids ?? {})]);
  const add = (kind: 'uid' | 'gid', key: string, number: number, name: string, retiredAt: number | null) => {
    const explicit = key.startsWith(GROUP);
    const who = unspell(explicit ? key.slice(GROUP.length) : key, issuer);
    const ofUser = kind === 'uid' || who.issuer === RESERVED || (!explicit && users.has(key));
    const owner = ofUser ? ('user' as const) : ('group' as const);
    rows.push({ kind, number, owner, ...who, name, assignedAt: now, retiredAt });
  };
  for (const [key, number] of Object.entries(content.uids)) add('uid', key, number, '', null);
  for (const [key, number] of Object.entries(content.gids)) add('gid', key, number, '', null);
  for (const kind of ['uid', 'gid'] as const) {
    for (const [key, entry] of Object.entries(content.retired?.[`${kind}s`] ?? {})) {
      add(kind, key, entry.id, entry.name, Date.parse(entry.at));
    }
  }
  const next = { uid: content.nextUID ?? ids.uidBase, gid: content.nextGID ?? ids.gidBase };
  for (const kind of ['uid', 'gid'] as const) {
    // One above the last says that there is no number left.
    if (next[kind] > ids.max + 1) return problem(`the next ${kind} would be ${next[kind]}, above ${ids.max}`);
  }
  const above = (kind: 'uid' | 'gid') =>
    rows.reduce((top, row) => (row.kind === kind ? Math.max(top, row.number + 1) : top), next[kind]);
  const counters: Counters = {
    nextUid: above('uid'),
    nextGid: above('gid'),
    upgPolicy: content.upgPolicy ?? 'separate',
  };
  const names = Object.entries(content.names ?? {}).map(([name, entry]): NameRecord => {
    const explicit = entry.owner.startsWith(GROUP);
    const who = unspell(explicit ? entry.owner.slice(GROUP.length) : entry.owner, issuer);
    return {
      name,
      owner: explicit ? 'group' : 'user',
      ...who,
      since: Date.parse(entry.since),
      leftAt: entry.leftAt ? Date.parse(entry.leftAt) : null,
    };
  });
  const map: UidMapFile = { ...counters, generation: content.generation ?? 0, numbers: rows, names };
  return { ok: true, map, version: content.version ?? 1, checksumFits, next };
}

/**
 * Reads a map, of this program or of earlier installations (version 1).
 *
 * @returns a problem for anything that could make a number change its owner: damaged JSON, a wrong checksum, a number twice
 * or out of range, a file that others may write. Nothing is ever repaired by leaving entries out.
 */
export async function readUidMap(path: string, settings: UidMapSettings, now: number): Promise<ReadUidMap> {
  const written = await readWritten(path, settings, now);
  if (!written.ok) return written;
  const { map, version, checksumFits } = written;
  if (!checksumFits) return problemOf(path, CHANGED);
  const { max } = settings.ids;
  const tooHigh = map.numbers.find(({ number }) => number > max);
  if (tooHigh) return problemOf(path, `${tooHigh.kind} ${tooHigh.number} is above IDENTREE_LDAP_UID_MAX, ${max}`);
  const indexed = indexNumbers(map.numbers, map);
  return indexed.ok
    ? { ok: true, map, version }
    : problemOf(path, `${indexed.problem}. See what could be done: identree-server uidmap repair ${path} --dry-run`);
}

/** Said of a file that this program wrote and that was changed since. */
export const CHANGED = 'the checksum does not match. Restore it from a backup';

/** The file's text. Version 1 readers find what they know and ignore the rest. */
export function formatUidMap(map: UidMapFile, issuer: string): string {
  const content = {
    version: 2,
    uids: {} as Record<string, number>,
    gids: {} as Record<string, number>,
    nextUID: map.nextUid,
    nextGID: map.nextGid,
    upgPolicy: map.upgPolicy,
    retired: {
      uids: {} as Record<string, { id: number; name: string; at: string }>,
      gids: {} as Record<string, { id: number; name: string; at: string }>,
    },
    names: {} as Record<string, { owner: string; since: string; leftAt?: string }>,
    generation: map.generation,
  };
  const users = new Set(map.numbers.filter(({ owner }) => owner === 'user').map((row) => spell(row, issuer)));
  for (const row of map.numbers) {
    const plain = spell(row, issuer);
    const key = row.owner === 'group' && users.has(plain) ? `${GROUP}${plain}` : plain;
    if (row.retiredAt === null) content[`${row.kind}s`][key] = row.number;
    else {
      const at = new Date(row.retiredAt).toISOString();
      content.retired[`${row.kind}s`][key] = { id: row.number, name: row.name, at };
    }
  }
  for (const record of map.names) {
    content.names[record.name] = {
      owner: `${record.owner === 'group' ? GROUP : ''}${spell(record, issuer)}`,
      since: new Date(record.since).toISOString(),
      ...(record.leftAt === null ? {} : { leftAt: new Date(record.leftAt).toISOString() }),
    };
  }
  return `${JSON.stringify({ ...content, checksum: checksumOf(content) }, null, 1)}\n`;
}
