/** A process that gets no processor for a while, or stands still, loses one of so many parts of the time at most. */
const STEPS = 10;

/**
 * Calls `run` once this process has had so long to hear of something, milliseconds. Time in which it could not hear does not
 * count: after it, what has come meanwhile is not read yet, and is no less an answer for that.
 *
 * @returns ends it
 */
export function afterListening(ms: number, run: () => void): () => void {
  let left = STEPS;
  let ended = false;
  const timer = setInterval(() => {
    left -= 1;
    if (left > 0) return;
    clearInterval(timer);
    // What lies there by now is read first.
    setImmediate(() => ended || run());
  }, ms / STEPS).unref();
  return () => {
    ended = true;
    clearInterval(timer);
  };
}

/** An answer for which this process listens so long, milliseconds. @throws Error when there was none */
export async function withinListening<T>(answer: Promise<T>, ms: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const stop = afterListening(ms, () => reject(new Error(`no answer within ${ms} ms`)));
  try {
    return await Promise.race([answer, late]);
  } finally {
    stop();
  }
}
