import type { Clock } from '../platform/clock.ts';
import type { Database, UnitOfWork } from './database.ts';
import { expireLease, findLease, insertLease, lockLease, updateLease } from './lease-store.ts';
import type { LeasesTable } from './schema.ts';

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
  /** The process that has it; null while it is free. */
  holderOf(name: string): Promise<string | null>;
  /** Lets another process have it at once. */
  release(lease: Lease): Promise<void>;
  /** What this process is called. */
  readonly holder: string;
  /** How often to ask for it, so that it is renewed in time, milliseconds. */
  readonly renewEveryMs: number;
  /** After so long without an answer it may be another process's, milliseconds. */
  readonly lifeMs: number;
}

/** After this a lease that was not renewed is free, milliseconds. On SQLite each renewal waits for the disk. */
const DEFAULT_LIFE_MS = { sqlite: 60_000, postgres: 15_000 };
/** Nobody leaves a lease as it is for so long, milliseconds: none lasts longer than a minute, and each is renewed sooner. */
const UNRENEWED_MS = 120_000;
/** How often the database is asked whose turn it is, milliseconds; sooner where a lease has to be renewed sooner. */
const ASK_EVERY_MS = 5000;

/**
 * A lease runs out when it is not renewed, by the clocks of the processes; the fence holds whatever they say. On SQLite one
 * process is meant to run: the one that starts has every lease at once, because the one before it has ended, or is about
 * to. One that was started by mistake gives them back when it ends, however it ends.
 *
 * A lease that lasts longer than this process would give it is of a clock that is or was ahead. Whoever has it renews it
 * nevertheless, so one that stays as it is for {@link UNRENEWED_MS} is free.
 *
 * @param deps.holder a name that no other process has.
 * @param deps.steady milliseconds of a clock that nobody sets
 */
export function createLeases(deps: {
  db: Database;
  clock: Clock;
  holder: string;
  lifeMs?: number;
  steady?: () => number;
}): Leases {
  const { db, clock, holder, lifeMs = DEFAULT_LIFE_MS[db.driver], steady = () => performance.now() } = deps;
  /** What this process has had since it started. */
  const had = new Set<string>();
  const startsAlone = (name: string) => db.driver === 'sqlite' && !had.has(name);

  /** Of leases that last too long: as they are, and since when. */
  const unrenewed = new Map<string, { lease: LeasesTable; since: number }>();

  /** Whether another process has it, as far as anybody can know. */
  function isTaken(lease: LeasesTable): boolean {
    const { name } = lease;
    const left = lease.until - clock.now();
    if (left <= lifeMs) unrenewed.delete(name);
    if (left <= 0 || startsAlone(name)) return false;
    if (left <= lifeMs) return true;
    const known = unrenewed.get(name);
    if (known?.lease.until === lease.until && known.lease.fence === lease.fence)
      return steady() - known.since < UNRENEWED_MS;
    unrenewed.set(name, { lease, since: steady() });
    return true;
  }

  async function take(work: UnitOfWork, name: string): Promise<Lease | null> {
    const until = clock.now() + lifeMs;
    const lease = await lockLease(work, name);
    if (lease === null) return (await insertLease(work, { name, holder, fence: 1, until })) ? { name, fence: 1 } : null;
    const own = lease.holder === holder;
    if (!own && isTaken(lease)) return null;
    // One that ran out and is still this process's is the same turn: no other process has done anything in between.
    const fence = own ? lease.fence : lease.fence + 1;
    await updateLease(work, { name, holder, fence, until });
    return { name, fence };
  }

  return {
    holder,
    lifeMs,
    renewEveryMs: Math.min(lifeMs / 3, ASK_EVERY_MS),
    async acquire(name) {
      // Reading is enough for those who wait, and where there is time to renew.
      const known = await findLease(db.query, name);
      const left = known ? known.until - clock.now() : 0;
      if (known?.holder === holder && left > (lifeMs * 2) / 3 && left <= lifeMs) return { name, fence: known.fence };
      if (known && known.holder !== holder && isTaken(known)) return null;
      const lease = await db.transaction((work) => take(work, name));
      if (lease) had.add(name);
      return lease;
    },
    async stillHas(work, { name, fence }) {
      const lease = await lockLease(work, name);
      return lease?.holder === holder && lease.fence === fence;
    },
    async holderOf(name) {
      const lease = await findLease(db.query, name);
      return lease && clock.now() < lease.until ? lease.holder : null;
    },
    release: ({ name }) => db.transaction((work) => expireLease(work, name, holder)),
  };
}

/** Whose turn it is to do something, asked as often as one likes: the database is asked when the lease is to be renewed. */
export interface Turn {
  /** The lease while it is this process's turn; null while another process has it. Rejects when the database cannot say. */
  has(): Promise<Lease | null>;
  /**
   * Whether no other process can have it by now, without asking anything: a process that was stopped in the midst of its
   * work and goes on finds out by this before it does more.
   */
  isSure(): boolean;
  /** It was found that another process has had it since. */
  lost(): void;
  release(): Promise<void>;
}

export function createTurn(leases: Leases, name: string): Turn {
  let lease: Lease | null = null;
  let renewAt = Number.NEGATIVE_INFINITY;
  let sureUntil = Number.NEGATIVE_INFINITY;
  let asking: Promise<Lease | null> | null = null;

  function forget(): void {
    lease = null;
    renewAt = Number.NEGATIVE_INFINITY;
  }

  function lost(): void {
    forget();
    sureUntil = Number.NEGATIVE_INFINITY;
  }

  async function ask(): Promise<Lease | null> {
    // Counted from before the question: the answer may have been on its way for long.
    const askedAt = performance.now();
    try {
      lease = await leases.acquire(name);
      renewAt = askedAt + leases.renewEveryMs;
      // What is given lasts so long at least; see `acquire`.
      sureUntil = lease === null ? Number.NEGATIVE_INFINITY : askedAt + (leases.lifeMs * 2) / 3;
      // A process that was frozen before it read the answer: its successor may be at work by now.
      if (performance.now() >= sureUntil) lost();
      return lease;
    } catch (error) {
      // What was true the last time may be true no longer, and who goes on without asking works beside a successor.
      forget();
      throw error;
    } finally {
      asking = null;
    }
  }

  return {
    async has() {
      if (performance.now() < renewAt) return lease;
      asking ??= ask();
      return asking;
    },
    isSure: () => performance.now() < sureUntil,
    lost,
    async release() {
      const last = lease;
      lost();
      if (last) await leases.release(last);
    },
  };
}
