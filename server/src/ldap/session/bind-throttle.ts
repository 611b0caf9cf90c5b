import type { Limits } from './limits.ts';

/** What was proved before this process began. `pair` is an address and a name. */
export interface EarlierProofs {
  has(pair: string): boolean;
  /** It was proved in this process for the first time. */
  note(pair: string): void;
}

/**
 * Slows down guessing of passwords, by address and by name. More than `bindFailures` wrong ones within a minute close the
 * door for 1 s, 2 s, 4 s … up to `bindPenalty`; what comes meanwhile is refused without being looked at.
 *
 * The door never closes for a name at an address that has once proved to know its password, whatever is tried under that
 * name or from that address: else anybody behind the same gateway could lock the hosts out of the directory. Guesses at
 * that name from there are slowed instead: each password waits `bindProvenWait` for its look, the right one as well.
 */
export interface BindThrottle {
  /** Milliseconds until a password may be looked at; null: it is refused without a look. */
  waitFor(address: string, name: string, now: number): number | null;
  failed(address: string, name: string, now: number): void;
  succeeded(address: string, name: string): void;
}

interface Failures {
  count: number;
  last: number;
  blockedUntil: number;
  penalty: number;
}

const MINUTE = 60_000;
const MOST_REMEMBERED = 20_000;

export function createBindThrottle(
  limits: Pick<Limits, 'bindFailures' | 'bindPenalty' | 'bindProvenWait'>,
  earlier: EarlierProofs | null = null,
): BindThrottle {
  /** Insertion order is order of last use; the one unused for longest is forgotten first. */
  const failures = new Map<string, Failures>();
  const proven = new Set<string>();
  const pair = (address: string, name: string): string => `${address} ${name}`;

  /** A quiet minute, or as long a quiet time as the last penalty, forgives. */
  const isForgiven = ({ last, penalty }: Failures, now: number): boolean => now - last > Math.max(MINUTE, penalty);

  function note(key: string, now: number): void {
    const known = failures.get(key);
    const entry =
      known === undefined || isForgiven(known, now) ? { count: 0, last: 0, blockedUntil: 0, penalty: 0 } : known;
    entry.count++;
    entry.last = now;
    if (entry.count > limits.bindFailures) {
      entry.penalty = Math.min(limits.bindPenalty, entry.penalty === 0 ? 1000 : entry.penalty * 2);
      entry.blockedUntil = now + entry.penalty;
    }
    failures.delete(key);
    failures.set(key, entry);
    trim(failures);
  }

  function trim(map: { size: number; keys(): Iterator<string>; delete(key: string): boolean }): void {
    if (map.size > MOST_REMEMBERED) map.delete(map.keys().next().value!);
  }

  const isProven = (known: string): boolean => proven.has(known) || earlier?.has(known) === true;
  const isBlocked = (key: string, now: number): boolean => (failures.get(key)?.blockedUntil ?? 0) > now;

  function isGuessedAt(key: string, now: number): boolean {
    const known = failures.get(key);
    return known !== undefined && known.count > limits.bindFailures && !isForgiven(known, now);
  }

  return {
    waitFor(address, name, now) {
      if (failures.size === 0) return 0;
      const known = pair(address, name);
      if (isProven(known)) return isGuessedAt(known, now) ? limits.bindProvenWait : 0;
      return isBlocked(`address ${address}`, now) || isBlocked(`name ${name}`, now) ? null : 0;
    },
    failed(address, name, now) {
      note(`address ${address}`, now);
      note(`name ${name}`, now);
      const known = pair(address, name);
      if (isProven(known)) note(known, now);
    },
    succeeded(address, name) {
      const known = pair(address, name);
      // The order matters when there are too many only.
      if (proven.size < MOST_REMEMBERED / 2 && proven.has(known)) return;
      if (!proven.delete(known)) earlier?.note(known);
      proven.add(known);
      trim(proven as never);
    },
  };
}
