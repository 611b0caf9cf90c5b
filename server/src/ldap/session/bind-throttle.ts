import type { Limits } from './limits.ts';

/**
 * Slows down guessing of passwords, by address and by name. More than `bindFailures` wrong ones within a minute close the
 * door for 1 s, 2 s, 4 s … up to `bindPenalty`; what comes meanwhile is refused without being looked at.
 *
 * An address that has once proved to know a name's password is not held up by what others try under that name: else
 * anybody could lock the hosts out of the directory.
 */
export interface BindThrottle {
  /** Whether a password may be looked at now. */
  allows(address: string, name: string, now: number): boolean;
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

export function createBindThrottle(limits: Pick<Limits, 'bindFailures' | 'bindPenalty'>): BindThrottle {
  /** Insertion order is order of last use; the one unused for longest is forgotten first. */
  const failures = new Map<string, Failures>();
  const proven = new Set<string>();
  const pair = (address: string, name: string): string => `${address} ${name}`;

  function note(key: string, now: number): void {
    const known = failures.get(key);
    // A quiet minute, or as long a quiet time as the last penalty, forgives.
    const forgiven = known !== undefined && now - known.last > Math.max(MINUTE, known.penalty);
    const entry = known === undefined || forgiven ? { count: 0, last: 0, blockedUntil: 0, penalty: 0 } : known;
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

  const isBlocked = (key: string, now: number): boolean => (failures.get(key)?.blockedUntil ?? 0) > now;

  return {
    allows: (address, name, now) =>
      failures.size === 0 ||
      (!isBlocked(`address ${address}`, now) && (proven.has(pair(address, name)) || !isBlocked(`name ${name}`, now))),
    failed(address, name, now) {
      note(`address ${address}`, now);
      note(`name ${name}`, now);
    },
    succeeded(address, name) {
      const known = pair(address, name);
      // The order matters when there are too many only.
      if (proven.size < MOST_REMEMBERED / 2 && proven.has(known)) return;
      proven.delete(known);
      proven.add(known);
      trim(proven as never);
    },
  };
}
