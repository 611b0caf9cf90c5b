import { randomUUID } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  fsync,
  ftruncateSync,
  lstatSync,
  openSync,
  statSync,
  writeSync,
} from 'node:fs';
import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { z } from 'zod';
import { canonicalSha256 } from '#shared/digest.ts';
import { CHAIN_START } from '#shared/events.ts';
import { JOURNAL_START, type JournalPosition, type JournalSaid, journalPosition } from '#shared/journal-head.ts';
import { sha256Text } from '#shared/names.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { atomicWrite, syncFolder } from '../state/atomic-write.ts';
import { createLock } from '../state/lock.ts';
import { readTrustedFile, UntrustedFile } from '../state/trusted-file.ts';

/** What every entry has: it names the one before it by its hash. */
export interface Chained {
  id: string;
  at: number;
  prevHash: string;
  hash: string;
}

type Content<Entry> = Entry extends unknown ? Omit<Entry, keyof Chained> : never;

/** Hash of an entry: over the RFC 8785 form of everything in it but itself. */
export const entryHash = (entry: object): string => canonicalSha256(entry);

/** A file is laid aside at this size once the server has all of it, bytes. */
const LAY_ASIDE_BYTES = 256 * 1024;
/** Above this only what must be written is, so that nobody fills a disk by it. */
const FULL_BYTES = 8 * 1024 * 1024;
const READ_LIMIT = 64 * 1024 * 1024;

const flush = promisify(fsync);

/** What is not done because it could not be written down stands nowhere: the server would be told that it was done. */
function takeBack(file: number, bytes: number): void {
  try {
    ftruncateSync(file, bytes);
  } catch {
    // Such a disk takes nothing at all any more.
  }
}

/** The end of the file. */
interface End {
  /** Size of all finished lines. */
  bytes: number;
  /** Of the last entry; undefined: it cannot be read. */
  hash: string | undefined;
}

/** A file of entries that the server is told of when it can be. */
export interface Chain<Entry extends Chained> {
  /**
   * Resolves once the entry would survive a power failure; with false where the file is full and it need not be written.
   * @throws when it cannot be written
   */
  append(content: Content<Entry>, options: { evenIfFull: boolean }): Promise<boolean>;
  /** All that can be read, oldest first. */
  entries(): Promise<Entry[]>;
  /** What the server does not have yet, oldest first. */
  unreported(): Promise<Entry[]>;
  /** The server has everything up to this entry. */
  reported(entry: Entry): Promise<void>;
  /**
   * Where it stands, with what it has at a number: see `journalSaid` in shared/src/journal-head.ts.
   *
   * @throws when it cannot be read to its end
   */
  position(known: number | null): Promise<JournalSaid>;
}

export function openChain<Entry extends Chained>(deps: {
  file: string;
  /** Says up to where the server has it. */
  cursor: string;
  lock: string;
  schema: z.ZodType<Entry>;
  clock: Clock;
  log: Pick<Log, 'error'>;
  /** What has to be kept of entries that are about to be laid aside. */
  beforeLaidAside?(entries: readonly Entry[]): Promise<void>;
}): Chain<Entry> {
  const { file, cursor, clock } = deps;
  /** Outlives what is laid aside: the entries that come then are counted on. */
  const asideFile = `${file}.aside`;
  const locked = createLock(deps.lock, clock);

  /** Finished lines; what a crash cut off was never acted on. */
  async function lines(): Promise<{ lines: string[]; bytes: number }> {
    const content = await readTrustedFile(file, { private: true, maxBytes: READ_LIMIT });
    const whole = content?.subarray(0, content.lastIndexOf(0x0a) + 1) ?? Buffer.alloc(0);
    const text = whole.toString('utf8');
    return { lines: text === '' ? [] : text.slice(0, -1).split('\n'), bytes: whole.length };
  }

  /** The end as it was left here, and by what the file is known to be as it was then: each change to it leaves a trace. */
  let left: (End & { stamp: string }) | null = null;

  /** Of a file that is there: which one it is, when it changed, and who may change it or what is in its folder. */
  function stampOf(info: BigIntStats): string {
    const { dev, ino, size, mtimeNs, ctimeNs } = info;
    const folder = statSync(dirname(file), { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs, folder.ino, folder.uid, folder.mode].join(':');
  }

  async function end(): Promise<End> {
    const info = lstatSync(file, { bigint: true, throwIfNoEntry: false });
    if (info !== undefined && left !== null && stampOf(info) === left.stamp) return left;
    const { lines: written, bytes } = await lines();
    const last = written.at(-1);
    return { bytes, hash: last === undefined ? ((await reportedHash()) ?? CHAIN_START) : parse(last)?.hash };
  }

  function parse(line: string): Entry | null {
    try {
      const parsed = deps.schema.safeParse(JSON.parse(line));
      return parsed.success ? parsed.data : null;
    } catch {
      return null;
    }
  }

  /** Hash of the last entry that the server has; null: it has none. */
  async function reportedHash(): Promise<string | null> {
    const told = (await readTrustedFile(cursor, { private: true }))?.toString('utf8').trim();
    if (told === undefined) return null;
    if (!sha256Text.safeParse(told).success) throw new UntrustedFile(cursor, `${cursor} is damaged.`);
    return told;
  }

  function parsed(written: readonly string[]): Entry[] {
    const read = written.map(parse);
    if (read.includes(null)) deps.log.error(`${file} holds lines that cannot be read; they are not reported`);
    return read.filter((entry) => entry !== null);
  }

  const entries = async () => parsed((await lines()).lines);

  /** What was told is not gone through again: it may be a thousand times of what is still to be told. */
  async function unreported(): Promise<Entry[]> {
    const { lines: written } = await lines();
    const told = await reportedHash();
    if (told === null) return parsed(written);
    return parsed(
      written.slice(written.findLastIndex((line) => line.includes(told) && parse(line)?.hash === told) + 1),
    );
  }

  /** How many entries were laid aside, and the hash of the last of them. */
  async function laidAside(): Promise<JournalPosition> {
    const told = (await readTrustedFile(asideFile, { private: true }))?.toString('utf8');
    if (told === undefined) return JOURNAL_START;
    try {
      return journalPosition.parse(JSON.parse(told));
    } catch {
      throw new UntrustedFile(asideFile, `${asideFile} is damaged.`);
    }
  }

  async function position(): Promise<JournalPosition & { at(seq: number): JournalPosition | null }> {
    const { lines: written } = await lines();
    const aside = await laidAside();
    const hashAt = (index: number): string => {
      const hash = parse(written[index] ?? '')?.hash;
      if (hash === undefined) throw new UntrustedFile(file, `${file} is damaged. Keep a copy, and remove it.`);
      return hash;
    };
    // A crash may have come between the number and the file: then what was to be laid aside is there still.
    const isThere = written.length > 0 && aside.seq > 0 && parse(written[0] ?? '')?.prevHash !== aside.hash;
    const skipped = isThere ? written.findIndex((line) => parse(line)?.hash === aside.hash) + 1 : 0;
    const count = written.length - skipped;
    return {
      seq: aside.seq + count,
      hash: count === 0 ? aside.hash : hashAt(written.length - 1),
      at: (seq) =>
        seq <= aside.seq
          ? aside
          : seq <= aside.seq + count
            ? { seq, hash: hashAt(skipped + seq - aside.seq - 1) }
            : null,
    };
  }

  return {
    append: (content, { evenIfFull }) =>
      locked(async () => {
        const { bytes, hash: before } = await end();
        if (!evenIfFull && bytes > FULL_BYTES) return false;
        if (before === undefined) throw new UntrustedFile(file, `${file} is damaged. Keep a copy, and remove it.`);
        const entry = { id: randomUUID(), at: clock.now(), ...content, prevHash: before };
        const hash = entryHash(entry);
        const line = Buffer.from(`${JSON.stringify({ ...entry, hash })}\n`);
        left = null;
        // Only the flush is waited for elsewhere: each step through the thread pool costs more than the step.
        const handle = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
        try {
          ftruncateSync(handle, bytes);
          // On a disk that is nearly full the system writes what fits, and says no only to the next write.
          for (let at = 0; at < line.length; ) at += writeSync(handle, line, at, line.length - at, bytes + at);
          await flush(handle);
          if (bytes === 0) await syncFolder(dirname(file));
          left = { bytes: bytes + line.length, hash, stamp: stampOf(fstatSync(handle, { bigint: true })) };
        } catch (error) {
          takeBack(handle, bytes);
          throw error;
        } finally {
          closeSync(handle);
        }
        return true;
      }),

    entries: () => locked(entries),

    unreported: () => locked(unreported),

    reported: (entry) =>
      locked(async () => {
        await atomicWrite(cursor, `${entry.hash}\n`);
        if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) <= LAY_ASIDE_BYTES) return;
        const { lines: written, bytes } = await lines();
        if (bytes <= LAY_ASIDE_BYTES) return;
        // Who tells thousands after an outage is here once for each: all are read only for the last one.
        const last = written.at(-1);
        if (last === undefined || parse(last)?.hash !== entry.hash) return;
        await deps.beforeLaidAside?.(await entries());
        const { seq, hash } = await position();
        await atomicWrite(asideFile, JSON.stringify({ seq, hash } satisfies JournalPosition));
        await rename(file, `${file}.1`);
      }),

    position: (known) =>
      locked(async () => {
        const { seq, hash, at } = await position();
        return { seq, hash, after: known === null ? null : at(known) };
      }),
  };
}
