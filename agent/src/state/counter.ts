import { closeSync, constants, fdatasync, openSync, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Clock } from '../platform/clock.ts';
import { atomicWrite } from './atomic-write.ts';
import { createLock } from './lock.ts';
import { UntrustedFile } from './trusted-file.ts';

/**
 * The host's monotonic request counter. The server takes a number that does not grow for a cloned host, so a number
 * must never be used twice nor out of order, not by this process, not by `gate --direct`, not after a power failure.
 */
export interface Counter {
  /**
   * Takes a number for whoever comes next, so that nobody has to wait for the disk; at most one. It counts only while no
   * other process has taken a higher one. Never rejects: what is wrong, `next` finds again.
   */
  takeAhead(): Promise<void>;
  /** Runs `send` with the next number while no other process on this host can take one. */
  next<T>(send: (counter: number) => Promise<T>): Promise<T>;
}

const SLOT = 64;
const flush = promisify(fdatasync);

const slot = (value: number) =>
  `${String(value).padStart(20, '0')} ${String(value).padStart(20, '0')}`.padEnd(SLOT - 1).concat('\n');

function readSlot(bytes: Buffer): number | null {
  const match = /^(\d{20}) (\d{20}) *\n$/.exec(bytes.toString('latin1'));
  if (!match || match[1] !== match[2]) return null;
  const value = Number(match[1]);
  return Number.isSafeInteger(value) ? value : null;
}

/** Writes a counter file that starts after `value`; part of enrolment. */
export async function createCounterFile(path: string, value = 0): Promise<void> {
  await atomicWrite(path, slot(value) + slot(value));
}

const damageOf = (path: string) => () =>
  new UntrustedFile(path, `${path} is damaged. Enrol this host again: identree enroll --replace.`);

/** The highest number that was taken. @throws UntrustedFile when no valid number can be read: starting anew would repeat. */
export async function readCounter(path: string): Promise<number> {
  const damaged = damageOf(path);
  const file = openSlots(path, constants.O_RDONLY, damaged);
  try {
    return highest(file, damaged);
  } finally {
    closeSync(file);
  }
}

function openSlots(path: string, flags: number, damaged: () => UntrustedFile): number {
  try {
    return openSync(path, flags | constants.O_NOFOLLOW);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? damaged() : error;
  }
}

function highest(file: number, damaged: () => UntrustedFile): number {
  const content = Buffer.alloc(2 * SLOT);
  readSync(file, content, 0, 2 * SLOT, 0);
  const values = [readSlot(content.subarray(0, SLOT)), readSlot(content.subarray(SLOT))].filter(
    (value) => value !== null,
  );
  if (values.length === 0) throw damaged();
  return Math.max(...values);
}

/**
 * Takes the next number: written to the slot that does not hold the current one and flushed before it is returned, so
 * that a torn write leaves the previous number readable and loses only one that was never used. Only the flush is waited
 * for elsewhere: the file is a few bytes of root's, and each step through the thread pool costs more than the step.
 *
 * @param ahead a number that was taken and is not used yet; the next one, if nobody has taken another since.
 */
async function nextNumber(path: string, ahead: number | null): Promise<number> {
  const damaged = damageOf(path);
  const file = openSlots(path, constants.O_RDWR, damaged);
  try {
    const taken = highest(file, damaged);
    if (taken === ahead) return ahead;
    const value = taken + 1;
    writeSync(file, slot(value), (value % 2) * SLOT, 'latin1');
    await flush(file);
    return value;
  } finally {
    closeSync(file);
  }
}

export function createCounter(deps: { file: string; lock: string; clock: Clock }): Counter {
  const locked = createLock(deps.lock, deps.clock);
  let ahead: number | null = null;

  async function take(): Promise<number> {
    const number = await nextNumber(deps.file, ahead);
    ahead = null;
    return number;
  }

  let taking = false;
  return {
    async takeAhead() {
      if (taking || ahead !== null) return;
      taking = true;
      await locked(async () => {
        ahead = await take();
      }).catch(() => undefined);
      taking = false;
    },
    next: (send) => locked(async () => send(await take())),
  };
}
