import type { Clock } from '../platform/clock.ts';
import type { Database, UnitOfWork } from './database.ts';
import { expireLease, findLease, insertLease, lockLease, updateLease } from './lease-store.ts';

/** The right to do something for all processes on this database, while it lasts. */
export interface Lease {
  readonly name: string;
  /** Grows with each new holder. */
  readonly fence: number;
}

/** Who does what, where several processes share a database. One of them has a lease at a time. */
export interface Leases {
  /** Takes a lease that is free or renews one that is held; null while another process has it. */
  acquire(name: string): Promise<Lease | null>;
  /**
   * Whether this process still has it, in the transaction of what depends on that: a process that was stopped for a while
   * and goes on must not write what its successor has written since.
   */
  stillHas(work: UnitOfWork, lease: Lease): Promise<boolean>;
  /** Lets another process have it at once. */
  release(lease: Lease): Promise<void>;
  /** How often it has to be renewed, milliseconds. */
  readonly renewEveryMs: number;
}

/** After this a lease that was not renewed is free, milliseconds. */
const DEFAULT_LIFE_MS = 15_000;

/**
 * @param deps.holder a name that no other process has.
 *
 * On Postgres a lease runs out when it is not renewed, by the clocks of the processes; the fence holds whatever they say.
 * On SQLite one process is meant to run: the one that started last has every lease, and nothing is written to renew one.
 */
export function createLeases(deps: { db: Database; clock: Clock; holder: string; lifeMs?: number }): Leases {
  const { db, clock, holder, lifeMs = DEFAULT_LIFE_MS } = deps;
  const alone = db.driver === 'sqlite';
  /** On SQLite: the fences under which this process took over, once for each name. */
  const taken = new Map<string, number>();

  async function take(work: UnitOfWork, name: string): Promise<Lease | null> {
    const until = alone ? Number.MAX_SAFE_INTEGER : clock.now() + lifeMs;
    const lease = await lockLease(work, name);
    if (lease === null) return (await insertLease(work, { name, holder, fence: 1, until })) ? { name, fence: 1 } : null;
    const own = lease.holder === holder;
    if (!own && !alone && clock.now() < lease.until) return null;
    // Whoever took it over in between has done things: their fence counts from then on.
    const fence = own && clock.now() < lease.until ? lease.fence : lease.fence + 1;
    await updateLease(work, { name, holder, fence, until });
    return { name, fence };
  }

  return {
    renewEveryMs: lifeMs / 3,
    async acquire(name) {
      if (!alone) return db.transaction((work) => take(work, name));
      const fence = taken.get(name);
      if (fence !== undefined) {
        const lease = await findLease(db.query, name);
        return lease?.holder === holder && lease.fence === fence ? { name, fence } : null;
      }
      const lease = await db.transaction((work) => take(work, name));
      if (lease) taken.set(name, lease.fence);
      return lease;
    },
    async stillHas(work, { name, fence }) {
      const lease = await lockLease(work, name);
      return lease?.holder === holder && lease.fence === fence;
    },
    async release({ name }) {
      if (!alone) await db.transaction((work) => expireLease(work, name, holder));
    },
  };
}

/** Whose turn it is to do something, asked as often as one likes: the database is asked when the lease is to be renewed. */
export interface Turn {
  /** The lease while it is this process's turn; null while another process has it. */
  has(): Promise<Lease | null>;
  /** It was found that another process has had it since. */
  lost(): void;
  release(): Promise<void>;
}

export function createTurn(leases: Leases, name: string): Turn {
  let lease: Lease | null = null;
  let renewAt = Number.NEGATIVE_INFINITY;
  return {
    async has() {
      const now = performance.now();
      if (now < renewAt) return lease;
      // Counted from before the question: the answer may have been on its way for long.
      renewAt = now + leases.renewEveryMs;
      lease = await leases.acquire(name);
      return lease;
    },
    lost() {
      lease = null;
      renewAt = Number.NEGATIVE_INFINITY;
    },
    async release() {
      const last = lease;
      lease = null;
      if (last) await leases.release(last);
    },
  };
}
