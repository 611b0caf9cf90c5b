/** How much of the server's time an address or a connection has had lately. */
export interface Share {
  /** Milliseconds, halved every `HALF_LIFE`, as a logarithm that can be compared whenever both were noted. */
  weight: number;
}

/** Something that has more to do than fits into one slice. */
export interface Runnable {
  /** What its address has had. */
  readonly peer: Share;
  /** What it has had itself. */
  readonly share: Share;
  /** Does one slice. @returns true when there is more to do right away. */
  run(): boolean;
}

/**
 * Lets everything that has work take turns, one slice each, with the event loop in between. The address that has had
 * least goes first, and among its connections the one that has: a client that asks now and then does not wait for those
 * that never stop asking, however many they are.
 */
export interface Scheduler {
  /** Queues it, unless it is queued already. */
  add(runnable: Runnable): void;
  /** Whether an address may be served right away, or has to take its turn. */
  mayRunNow(peer: Share): boolean;
  /** Notes work that was done for a connection. */
  spend(by: Pick<Runnable, 'peer' | 'share'>, milliseconds: number): void;
  readonly length: number;
}

/** Milliseconds per turn of the event loop, and slices however short: more would make a lookup elsewhere wait. */
const TURN_TIME = 0.25;
const PER_TURN = 64;
const HALF_LIFE = 200;
/** Milliseconds per turn of the event loop up to which all clients are served at once, and then those that had little. */
const FOR_ALL = 2;
const FOR_LIGHT = 20;
const LIGHT = 5;

export const createShare = (): Share => ({ weight: Number.NEGATIVE_INFINITY });

/** Milliseconds that an address has had lately. */
const recent = ({ weight }: Share, now: number): number => 2 ** (weight - now / HALF_LIFE);

export function createScheduler(now: () => number, defer: (work: () => void) => void = setImmediate): Scheduler {
  /** Queues by address, in the order in which addresses came. */
  const queues = new Map<Share, Runnable[]>();
  const queued = new Set<Runnable>();
  let armed = false;
  /** Milliseconds of work since the event loop last came round. */
  let busy = 0;

  function takeLightest(): Runnable {
    let lightest: Share | null = null;
    for (const peer of queues.keys()) if (lightest === null || peer.weight < lightest.weight) lightest = peer;
    const queue = queues.get(lightest!)!;
    let at = 0;
    for (let i = 1; i < queue.length; i++) if (queue[i]!.share.weight < queue[at]!.share.weight) at = i;
    const [runnable] = queue.splice(at, 1);
    if (queue.length === 0) queues.delete(lightest!);
    queued.delete(runnable!);
    return runnable!;
  }

  function turn(): void {
    armed = false;
    const end = now() + TURN_TIME;
    for (let i = 0; i < PER_TURN && queued.size > 0; i++) {
      const runnable = takeLightest();
      if (runnable.run()) add(runnable);
      if (now() >= end) break;
    }
    busy = 0;
    if (queued.size > 0) arm();
  }

  function arm(): void {
    if (armed) return;
    armed = true;
    defer(turn);
  }

  function add(runnable: Runnable): void {
    if (queued.has(runnable)) return;
    queued.add(runnable);
    const queue = queues.get(runnable.peer);
    if (queue === undefined) queues.set(runnable.peer, [runnable]);
    else queue.push(runnable);
    arm();
  }

  return {
    add,
    mayRunNow: (peer) => busy < FOR_ALL || (busy < FOR_LIGHT && recent(peer, now()) < LIGHT),
    spend({ peer, share }, milliseconds) {
      if (milliseconds <= 0) return;
      const at = now();
      peer.weight = Math.log2(recent(peer, at) + milliseconds) + at / HALF_LIFE;
      share.weight = Math.log2(recent(share, at) + milliseconds) + at / HALF_LIFE;
      busy += milliseconds;
      // Counts on until the loop comes round; looking for that is worth it only when there was something to count.
      if (busy >= FOR_ALL) arm();
    },
    get length() {
      return queued.size;
    },
  };
}
