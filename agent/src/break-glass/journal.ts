import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type BreakGlassUse, breakGlassUse } from '#shared/break-glass-api.ts';
import type { HostRecord } from '#shared/decision.ts';
import { canonicalSha256 } from '#shared/digest.ts';
import { CHAIN_START } from '#shared/events.ts';
import { sha256Text } from '#shared/names.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { atomicWrite, syncFolder } from '../state/atomic-write.ts';
import { withLock } from '../state/lock.ts';
import { readTrustedFile, UntrustedFile } from '../state/trusted-file.ts';

/** Hash of an entry: over the RFC 8785 form of everything in it but itself. */
export const entryHash = (entry: Omit<BreakGlassUse, 'hash'>): string => canonicalSha256(entry);

/** A file is laid aside at this size once the server has all of it, bytes. */
const LAY_ASIDE_BYTES = 256 * 1024;
/** What is wrong is written down no more above this, so that guessing fills no disk; what opens always is. */
const FULL_BYTES = 8 * 1024 * 1024;
const READ_LIMIT = 64 * 1024 * 1024;

/** What happened at this host while no server could be asked. Each entry names the one before it by its hash. */
export interface Journal {
  /** Resolves once the entry would survive a power failure. @throws when it cannot be written: then nobody is let in. */
  append(outcome: BreakGlassUse['outcome'], record: HostRecord): Promise<void>;
  /** What the server does not have yet, oldest first. */
  unreported(): Promise<BreakGlassUse[]>;
  /** The server has everything up to this entry. */
  reported(entry: BreakGlassUse): Promise<void>;
  /** When the password last opened this host, milliseconds since the epoch; null: never. */
  lastOpened(): Promise<number | null>;
}

export function openJournal(deps: {
  file: string;
  /** Says up to where the server has it. */
  cursor: string;
  lock: string;
  clock: Clock;
  log: Pick<Log, 'error'>;
}): Journal {
  const { file, cursor, clock } = deps;
  const locked = <T>(work: () => Promise<T>) => withLock(deps.lock, clock, work);

  /** Finished lines; what a crash cut off was never acted on. */
  async function lines(): Promise<{ lines: string[]; bytes: number }> {
    const content = await readTrustedFile(file, { private: true, maxBytes: READ_LIMIT });
    const whole = content?.subarray(0, content.lastIndexOf(0x0a) + 1) ?? Buffer.alloc(0);
    const text = whole.toString('utf8');
    return { lines: text === '' ? [] : text.slice(0, -1).split('\n'), bytes: whole.length };
  }

  function parse(line: string): BreakGlassUse | null {
    try {
      const parsed = breakGlassUse.safeParse(JSON.parse(line));
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

  /** Outlives the file that is laid aside: who guesses long enough must not have a use forgotten. */
  const openedFile = `${file}.opened`;

  async function openedBefore(): Promise<number | null> {
    const told = (await readTrustedFile(openedFile, { private: true }))?.toString('utf8').trim();
    if (told === undefined) return null;
    if (!/^[0-9]{1,16}$/.test(told)) throw new UntrustedFile(openedFile, `${openedFile} is damaged.`);
    return Number(told);
  }

  const openedIn = (all: readonly BreakGlassUse[]): number | null =>
    all.findLast((entry) => entry.outcome === 'opened')?.at ?? null;

  async function entries(): Promise<BreakGlassUse[]> {
    const read = (await lines()).lines.map(parse);
    if (read.includes(null)) deps.log.error(`${file} holds lines that cannot be read; they are not reported`);
    return read.filter((entry) => entry !== null);
  }

  const after = (all: readonly BreakGlassUse[], hash: string | null) =>
    all.slice(all.findIndex((entry) => entry.hash === hash) + 1);

  return {
    append: (outcome, record) =>
      locked(async () => {
        const { lines: written, bytes } = await lines();
        if (outcome !== 'opened' && bytes > FULL_BYTES) return;
        const last = written.at(-1);
        const before = last === undefined ? ((await reportedHash()) ?? CHAIN_START) : parse(last)?.hash;
        if (before === undefined) throw new UntrustedFile(file, `${file} is damaged. Keep a copy, and remove it.`);
        const entry = { id: randomUUID(), at: clock.now(), outcome, record, prevHash: before };
        const line = Buffer.from(`${JSON.stringify({ ...entry, hash: entryHash(entry) })}\n`);
        const handle = await open(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
        try {
          await handle.truncate(bytes);
          await handle.write(line, 0, line.length, bytes);
          await handle.sync();
        } finally {
          await handle.close();
        }
        if (bytes === 0) await syncFolder(dirname(file));
      }),

    unreported: () => locked(async () => after(await entries(), await reportedHash())),

    reported: (entry) =>
      locked(async () => {
        await atomicWrite(cursor, `${entry.hash}\n`);
        const { bytes } = await lines();
        if (bytes <= LAY_ASIDE_BYTES) return;
        const all = await entries();
        if (after(all, entry.hash).length > 0) return;
        const opened = openedIn(all);
        if (opened !== null) await atomicWrite(openedFile, `${opened}\n`);
        await rename(file, `${file}.1`);
      }),

    lastOpened: () => locked(async () => openedIn(await entries()) ?? (await openedBefore())),
  };
}
