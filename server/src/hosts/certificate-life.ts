import { X509Certificate } from 'node:crypto';

/** Milliseconds since the epoch. */
export interface Life {
  from: number;
  until: number;
}

const DAY_MS = 86_400_000;
const WARNED_MS = 30 * DAY_MS;

/** When a certificate begins and ends; null when it cannot be read. */
export function lifeOf(pem: string): Life | null {
  try {
    const { validFromDate, validToDate } = new X509Certificate(pem);
    return { from: validFromDate.getTime(), until: validToDate.getTime() };
  } catch {
    return null;
  }
}

/**
 * Pure rule: whether somebody should look why it was not renewed. 30 days before its end; one that lives shorter than 120
 * days is not due before that, so for it in its last quarter. A host renews its own before either.
 */
export function endsSoon({ from, until }: Life, now: number): boolean {
  return until - now <= Math.min(WARNED_MS, (until - from) / 4);
}

/** Reads each certificate once: hosts are listed often, and keep theirs for months. @param limit of those remembered */
export function createLives(limit = 20_000): (pem: string) => Life | null {
  const known = new Map<string, Life | null>();
  return (pem) => {
    const remembered = known.get(pem);
    if (remembered !== undefined) return remembered;
    const life = lifeOf(pem);
    if (known.size >= limit) known.delete(known.keys().next().value!);
    known.set(pem, life);
    return life;
  };
}
