/** What may be done beside other things. */
interface Work {
  /** It measures time, or writes what others read: nothing else is done meanwhile. */
  alone: boolean;
}

/**
 * Does things in their order, several of them at a time where they may be, and gives what came of each in that order.
 * What is alone begins when everything before it has ended.
 *
 * @param most how many at a time
 */
export async function sideBySide<T extends Work, R>(
  things: readonly T[],
  most: number,
  run: (thing: T) => Promise<R>,
): Promise<R[]> {
  const results: Promise<R>[] = [];
  const running = new Set<Promise<unknown>>();
  for (const thing of things) {
    const room = thing.alone ? 0 : most - 1;
    while (running.size > room) await Promise.race(running);
    const result = run(thing);
    results.push(result);
    running.add(result);
    void result.finally(() => running.delete(result)).catch(() => {});
    if (thing.alone) await result;
  }
  return Promise.all(results);
}
