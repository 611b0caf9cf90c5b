import { hash } from 'node:crypto';
import { uuid } from '#shared/names.ts';

/** What a recipient finds in their part of a password that takes several to open. */
export interface Share {
  /** Names the password: shares of different ones say nothing together. */
  id: string;
  /** How many it takes. */
  threshold: number;
  share: Uint8Array;
}

/** These lines are not the shares of one password; the message says what is wrong with them and holds nothing of them. */
export class WrongShares extends Error {}

const LINE = /^identree-share-1 ([0-9a-f-]{36}) (\d{1,2}) ([A-Za-z0-9_-]{4,200})$/;

/** By which a damaged share is noticed. */
const CHECK_BYTES = 4;

const checkOf = (password: Uint8Array): Buffer => hash('sha256', password, 'buffer').subarray(0, CHECK_BYTES);

/** Splits a password among so many people; any `threshold` of them, at least 2, can put it together, fewer learn nothing. */
export async function splitPassword(
  password: Uint8Array,
  { id, threshold, people }: { id: string; threshold: number; people: number },
): Promise<Share[]> {
  const { split } = await import('shamir-secret-sharing');
  const secret = new Uint8Array(Buffer.concat([password, checkOf(password)]));
  try {
    return (await split(secret, people, threshold)).map((share) => ({ id, threshold, share }));
  } finally {
    secret.fill(0);
  }
}

/** A line that survives being read out, sent or printed. */
export function writeShare({ id, threshold, share }: Share): string {
  return `identree-share-1 ${id} ${threshold} ${Buffer.from(share).toString('base64url')}`;
}

/** @throws WrongShares */
export function readShare(line: string): Share {
  const [, id, threshold, share] = LINE.exec(line.trim()) ?? [];
  if (!uuid.safeParse(id).success) throw new WrongShares('This is no share: it begins with identree-share-1.');
  return { id: id!, threshold: Number(threshold), share: Buffer.from(share!, 'base64url') };
}

/**
 * Puts a password together.
 *
 * @returns printable ASCII; the caller wipes it.
 * @throws WrongShares
 */
export async function combineShares(shares: readonly Share[]): Promise<Buffer> {
  const [first] = shares;
  if (first === undefined) throw new WrongShares('There is no share.');
  const { id, threshold } = first;
  if (shares.some((other) => other.id !== id || other.threshold !== threshold)) {
    throw new WrongShares('These are shares of different passwords.');
  }
  // Shamir's x coordinate is the last byte of each.
  const distinct = [...new Map(shares.map((one) => [one.share.at(-1), one.share])).values()];
  if (distinct.length < threshold) {
    throw new WrongShares(`It takes the shares of ${threshold} people; there are ${distinct.length}.`);
  }
  const { combine } = await import('shamir-secret-sharing');
  const secret = Buffer.from(
    await combine(distinct.map((share) => Uint8Array.from(share))).catch(() => {
      throw new WrongShares('These shares do not belong together.');
    }),
  );
  const password = Buffer.from(secret.subarray(0, -CHECK_BYTES));
  const isWhole = checkOf(password).equals(secret.subarray(-CHECK_BYTES));
  secret.fill(0);
  if (isWhole) return password;
  password.fill(0);
  throw new WrongShares('One of these shares is damaged: what comes out is no password.');
}
