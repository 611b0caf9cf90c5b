import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Clock } from '../platform/clock.ts';
import { atomicWrite } from './atomic-write.ts';
import { withLock } from './lock.ts';
import { UntrustedFile } from './trusted-file.ts';

/**
 * The host's monotonic request counter. The server takes a number that does not grow for a cloned host, so a number
 * must never be used twice nor out of order, not by this process, not by `gate --direct`, not after a power failure.
 */
export interface Counter {
  /** Runs `send` with the next number while no other process on this host can take one. */
  next<T>(send: (counter: number) => Promise<T>): Promise<T>;
}

const SLOT = 64;

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

/** The highest number that was taken. @throws UntrustedFile when no valid number can be read: starting anew would repeat. */
export async function readCounter(path: string): Promise<number> {
  const damaged = () =>
    new UntrustedFile(path, `${path} is damaged. Enrol this host again: identree enroll --replace.`);
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? damaged() : error;
  });
  try {
    const content = Buffer.alloc(2 * SLOT);
    await file.read(content, 0, 2 * SLOT, 0);
    const values = [readSlot(content.subarray(0, SLOT)), readSlot(content.subarray(SLOT))].filter(
      (value) => value !== null,
    );
    if (values.length === 0) throw damaged();
    return Math.max(...values);
  } finally {
    await file.close();
  }
}

/**
 * Takes the next number: written to the slot that does not hold the current one and flushed before it is returned, so
 * that a torn write leaves the previous number readable and loses only one that was never used.
 */
async function nextNumber(path: string): Promise<number> {
  const value = (await readCounter(path)) + 1;
  const file = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    await file.write(slot(value), (value % 2) * SLOT, 'latin1');
    await file.datasync();
  } finally {
    await file.close();
  }
  return value;
}

export function createCounter(deps: { file: string; lock: string; clock: Clock }): Counter {
  let queue: Promise<unknown> = Promise.resolve();
  return {
    next(send) {
      const turn = queue.then(() => withLock(deps.lock, deps.clock, async () => send(await nextNumber(deps.file))));
      queue = turn.catch(() => undefined);
      return turn;
    },
  };
}
