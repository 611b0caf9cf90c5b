import { setImmediate } from 'node:timers/promises';

/** Milliseconds that one piece of long work may keep approvals waiting. */
const SLICE_MS = 12;

/**
 * Lets what waits have its turn. SQLite answers at once, so a chain of awaited queries never gives the event loop
 * back by itself.
 */
export const nextTurn = (): Promise<void> => setImmediate();

/** Does something for every item, with turns for what waits in between. @throws when the signal aborts */
export async function eachInSlices<T>(items: Iterable<T>, run: (item: T) => void, signal?: AbortSignal): Promise<void> {
  let start = performance.now();
  let count = 0;
  for (const item of items) {
    run(item);
    count += 1;
    if (count % 64 === 0 && performance.now() - start > SLICE_MS) {
      await nextTurn();
      signal?.throwIfAborted();
      start = performance.now();
    }
  }
}
