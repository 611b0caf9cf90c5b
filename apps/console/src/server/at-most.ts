/**
 * Does something at once, and again at most every `ms`, for each of several things: what came up meanwhile is done
 * together, after the last of it. A busy installation has many events a second, and every open console asks anew for what
 * they make old.
 */
export function atMostEvery<Key>(ms: number, run: (key: Key) => void): (key: Key) => void {
  const waiting = new Map<Key, boolean>();
  const start = (key: Key): void => {
    run(key);
    waiting.set(key, false);
    setTimeout(() => {
      const again = waiting.get(key);
      waiting.delete(key);
      if (again) start(key);
    }, ms);
  };
  return (key) => {
    if (waiting.has(key)) waiting.set(key, true);
    else start(key);
  };
}
