/** Long runs are for `npm run test:long`; the usual run takes a sample. */
export const isLong = process.env.IDENTREE_LONG === '1' || process.env.IDENTREE_TEST_LONG === '1';

/** How many cases a property tries. */
export const cases = (sample: number, long: number): number => (isLong ? long : sample);

/**
 * A seed for generators that are not fast-check's: from the environment to repeat a run, else new, and printed.
 *
 * @param usual of all runs but the long ones: where one strange case in a hundred thousand must not stop other work.
 */
export function testSeed(name: string, usual?: number): number {
  const fresh = usual === undefined || isLong ? Math.floor(Math.random() * 2 ** 31) : usual;
  const seed = Number(process.env.IDENTREE_SEED ?? fresh);
  process.stdout.write(`# ${name}: IDENTREE_SEED=${seed}\n`);
  return seed;
}

/** Repeatable random numbers (mulberry32). */
export function randomFrom(seed: number): { int(limit: number): number; pick<T>(list: readonly T[]): T } {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value = (value + Math.imul(value ^ (value >>> 7), value | 61)) ^ value;
    return (value ^ (value >>> 14)) >>> 0;
  };
  return {
    int: (limit) => next() % limit,
    pick: (list) => list[next() % list.length]!,
  };
}
