import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { canonicalSha256 } from '#shared/digest.ts';
import type { DirectorySettings } from '../settings.ts';
import { order } from '../source/model.ts';
import {
  type AssignedNumber,
  type Counters,
  excludedRange,
  indexNumbers,
  LOWEST_NUMBER,
  ownerKey,
  RESERVED,
  reserved,
} from './ids.ts';
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

type NotRead = Extract<ReadUidMap, { ok: false }>;

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

const problemOf = (path: string, text: string): NotRead => ({ ok: false, missing: false, problem: `${path}: ${text}` });

/** Reads a file that others cannot write. Numbers may be out of range or twice in it. */
async function readWritten(
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
    return code === 'ENOENT' ? { ok: false, missing: true } : problem(code ?? 'cannot be read');
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

const CHANGED = 'the checksum does not match. Restore it from a backup';

/** What `repairUidMap` would change. */
export interface Repair {
  readonly map: UidMapFile;
  /** Rows that get another number, as they will be, with the one they had. */
  readonly renumbered: readonly (AssignedNumber & { readonly was: number })[];
  /** Second numbers of an owner who has one already: reserved from now on. */
  readonly reserved: readonly AssignedNumber[];
  /** Second numbers that another owner has as well, or that are out of range: left out. */
  readonly dropped: readonly AssignedNumber[];
}

/**
 * What a file would have to say to be accepted. Of two owners of one number one keeps it, those who are there before
 * those who are gone and then by the order of identifiers, and the other gets one that was never given: whose files they
 * are, only people can tell. A file that was changed by hand is not repaired.
 */
export async function repairUidMap(
  path: string,
  settings: UidMapSettings,
  now: number,
): Promise<(Repair & { ok: true }) | NotRead> {
  const written = await readWritten(path, settings, now);
  if (!written.ok) return written;
  if (!written.checksumFits) return problemOf(path, CHANGED);
  const { map } = written;
  const { max, exclude } = settings.ids;
  const inRange = (n: number): boolean => n >= LOWEST_NUMBER && n <= max;
  const inRangeOf = (kind: 'uid' | 'gid'): number[] =>
    map.numbers.filter((row) => row.kind === kind && inRange(row.number)).map(({ number }) => number);
  const start = (kind: 'uid' | 'gid'): number =>
    inRangeOf(kind).reduce((top, number) => Math.max(top, number + 1), Math.max(LOWEST_NUMBER, written.next[kind]));
  const next = { uid: start('uid'), gid: start('gid') };
  const seen = { uid: new Set<number | string>(), gid: new Set<number | string>() };
  const renumbered: (AssignedNumber & { was: number })[] = [];
  const kept: AssignedNumber[] = [];
  const dropped: AssignedNumber[] = [];
  const inOrder = [...map.numbers].sort(
    (a, b) => Number(a.retiredAt !== null) - Number(b.retiredAt !== null) || order(ownerKey(a), ownerKey(b)),
  );
  const fresh = (kind: 'uid' | 'gid'): number => {
    for (;;) {
      const number = next[kind];
      const range = excludedRange(number, exclude);
      next[kind] = (range?.[1] ?? number) + 1;
      if (range === undefined) return number;
    }
  };
  const numbers = inOrder.flatMap((row): AssignedNumber[] => {
    const taken = seen[row.kind];
    const free = inRange(row.number) && !taken.has(row.number);
    taken.add(row.number);
    if (taken.has(ownerKey(row))) {
      if (!free) {
        dropped.push(row);
        return [];
      }
      kept.push(row);
      return [{ ...row, ...reserved(row.number), name: '', retiredAt: row.retiredAt ?? now }];
    }
    taken.add(ownerKey(row));
    if (free) return [row];
    const number = fresh(row.kind);
    renumbered.push({ ...row, number, was: row.number });
    return [{ ...row, number }];
  });
  if (next.uid - 1 > max || next.gid - 1 > max) return problemOf(path, 'no number is left');
  const mended = { ...map, nextUid: next.uid, nextGid: next.gid, numbers };
  return { ok: true, map: mended, renumbered, reserved: kept, dropped };
}

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

/** Former copies that are kept beside the file, for the day on which the newest is wrong. */
const FORMER = 30;

/** Writes the copy of a map and keeps the ones before it as `uidmap.json.GENERATION`. @throws */
export async function writeUidMap(path: string, map: UidMapFile, issuer: string): Promise<void> {
  const text = formatUidMap(map, issuer);
  await replaceFile(path, text);
  await replaceFile(`${path}.${map.generation}`, text);
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  const former: { file: string; at: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !/^[0-9]+$/.test(name.slice(prefix.length))) continue;
    const file = join(folder, name);
    const info = await lstat(file).catch(() => null);
    if (info) former.push({ file, at: info.mtimeMs });
  }
  former.sort((a, b) => b.at - a.at);
  for (const { file } of former.slice(FORMER)) await rm(file, { force: true });
}

/** Replaces a file so that a reader, and a power cut, meet the old or the new content, never a part. @throws */
export async function replaceFile(path: string, content: string): Promise<void> {
  // Another process may do the same, also one that has the same number in another container.
  const fresh = `${path}.${randomUUID()}.new`;
  try {
    const file = await open(fresh, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
