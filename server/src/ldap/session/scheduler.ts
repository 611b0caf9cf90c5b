/** Something that has more to do than fits into one slice. */
export interface Runnable {
  /** Does one slice. @returns true when there is more to do right away. */
  run(): boolean;
}

/** Lets everything that has work take turns, one slice each, with the event loop in between. */
export interface Scheduler {
  /** Queues it, unless it is queued already. */
  add(runnable: Runnable): void;
  readonly length: number;
}

/** Slices per turn of the event loop: more would make a lookup on another connection wait. */
const PER_TURN = 2;

export function createScheduler(defer: (work: () => void) => void = setImmediate): Scheduler {
  const queue: Runnable[] = [];
  const queued = new Set<Runnable>();
  let armed = false;

  function turn(): void {
    armed = false;
    for (let i = 0; i < PER_TURN && queue.length > 0; i++) {
      const runnable = queue.shift()!;
      queued.delete(runnable);
      if (runnable.run()) add(runnable);
    }
    arm();
  }

  function arm(): void {
    if (armed || queue.length === 0) return;
    armed = true;
    defer(turn);
  }

  function add(runnable: Runnable): void {
    if (queued.has(runnable)) return;
    queued.add(runnable);
    queue.push(runnable);
    arm();
  }

  return {
    add,
    get length() {
      return queue.length;
    },
  };
}
