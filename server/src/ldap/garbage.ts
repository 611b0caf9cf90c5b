import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Takes garbage of the calling thread away, at once: all of it, or what is young. */
export const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void;

/** By then the searches that began on an old directory have ended, and so have the clients that filled the memory. */
const COLLECT_AFTER = 2000;
/** Milliseconds between two looks at the memory while it grows, and while it does not. */
const LOOK_AGAIN = 10;
const LOOK_EVERY = 50;
/**
 * How much more than after the last collection may be in use before what is young is looked through, which takes less
 * than a millisecond, and before everything is, which others notice.
 */
const YOUNG_GARBAGE = 8 * 1024 * 1024;
const GARBAGE = 32 * 1024 * 1024;

function inUse(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

/**
 * Keeps the garbage of the calling thread small. Left to itself the collector waits until a multiple of a few megabytes
 * is garbage, and what lies outside the heap hardly counts: an old directory would stay for hours, and strangers could
 * fill the memory for a while.
 */
export function limitGarbage(): { collectLater(): void } {
  let afterCollection = inUse();
  let lastSeen = afterCollection;
  let collecting: NodeJS.Timeout | undefined;

  function collectAll(): void {
    collect();
    afterCollection = inUse();
  }

  function collectLater(): void {
    clearTimeout(collecting);
    collecting = setTimeout(collectAll, COLLECT_AFTER).unref();
  }

  function look(): void {
    const before = inUse();
    if (before - afterCollection > YOUNG_GARBAGE) {
      collect({ type: 'minor' });
      if (inUse() - afterCollection > GARBAGE) {
        collectAll();
        collectLater();
      }
    }
    setTimeout(look, before - lastSeen > 2 ** 18 ? LOOK_AGAIN : LOOK_EVERY).unref();
    lastSeen = inUse();
  }
  look();
  return { collectLater };
}
