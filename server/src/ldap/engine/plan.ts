import { KIND, type Test, TRUE } from '../filter/test.ts';
import { ID } from '../schema/schema.ts';
import { lowerBound, prefixRange } from '../snapshot/lookup.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

/** Entries to be tested, in ascending order: a range of ordinals, or a stretch of a list of them. */
export interface Candidates {
  /** Null: the ordinals from `start` to `end` themselves. */
  list: Uint32Array | null;
  /** The list, when it was made for this search. */
  own?: Uint32Array;
  start: number;
  end: number;
  /** What remains to be tested of each; null when nothing does. */
  test: Test | null;
}

const EVERYTHING = Number.POSITIVE_INFINITY;

/** Most entries for which a test can be true, as far as the indexes tell without looking at entries. */
function estimate(snapshot: Snapshot, test: Test): number {
  switch (test.kind) {
    case KIND.constant:
      return test.truth === TRUE ? EVERYTHING : 0;
    case KIND.and: {
      let least = EVERYTHING;
      for (const child of test.children) least = Math.min(least, estimate(snapshot, child));
      return least;
    }
    case KIND.or: {
      let sum = 0;
      for (const child of test.children) sum += estimate(snapshot, child);
      return sum;
    }
    case KIND.key:
      return snapshot.keyStart[test.subject + 1]! - snapshot.keyStart[test.subject]!;
    case KIND.isA:
      return snapshot.classStart[test.subject + 1]! - snapshot.classStart[test.subject]!;
    case KIND.range:
    case KIND.values: {
      const range = orderedRange(snapshot, test);
      if (range !== null) return range.end - range.start;
      return prefixEstimate(snapshot, test);
    }
    default:
      return EVERYTHING;
  }
}

function orderedRange(snapshot: Snapshot, test: Test): { ordinals: Uint32Array; start: number; end: number } | null {
  if (test.kind !== KIND.range) {
    if (test.subject !== ID.uidNumber && test.subject !== ID.gidNumber) return null;
    if (test.low === 0 && test.high === 0) return null;
  }
  const index = snapshot.ordered.find(({ attribute }) => attribute === test.subject);
  if (index === undefined) return null;
  if (test.low > test.high) return { ordinals: index.ordinals, start: 0, end: 0 };
  const { values, ordinals } = index;
  const start = lowerBound(values, 0, values.length, test.low);
  return { ordinals, start, end: lowerBound(values, start, values.length, test.high + 1) };
}

/** More keys than this are not counted one by one: the prefix selects too much to be of help. */
const MOST_KEYS = 4096;

function prefixEstimate(snapshot: Snapshot, test: Test): number {
  if (test.prefix === null) return EVERYTHING;
  const range = prefixRange(snapshot, test.subject, test.prefix, test.prefix.length);
  if (range === null || range.end - range.start > MOST_KEYS) return EVERYTHING;
  let sum = 0;
  for (let i = range.start; i < range.end; i++) {
    const key = range.keys[i]!;
    sum += snapshot.keyStart[key + 1]! - snapshot.keyStart[key]!;
  }
  return sum;
}

/** Whether being a candidate already makes the test true. */
function isExact(test: Test): boolean {
  switch (test.kind) {
    case KIND.key:
    case KIND.isA:
    case KIND.range:
      return true;
    case KIND.values:
      return test.prefixOnly;
    case KIND.or:
      return test.children.every(isExact);
    default:
      return false;
  }
}

/** Appends the ordinals that the indexes name for a test, in any order. @returns the new count. */
function collect(snapshot: Snapshot, test: Test, into: Uint32Array, from: number): number {
  let count = from;
  const add = (list: Uint32Array, start: number, end: number): void => {
    for (let i = start; i < end; i++) into[count++] = list[i]!;
  };
  switch (test.kind) {
    case KIND.key:
      add(snapshot.postings, snapshot.keyStart[test.subject]!, snapshot.keyStart[test.subject + 1]!);
      break;
    case KIND.isA:
      add(snapshot.classPostings, snapshot.classStart[test.subject]!, snapshot.classStart[test.subject + 1]!);
      break;
    case KIND.and:
      return collect(snapshot, bestChild(snapshot, test), into, count);
    case KIND.or:
      for (const child of test.children) count = collect(snapshot, child, into, count);
      break;
    case KIND.range:
    case KIND.values: {
      const range = orderedRange(snapshot, test);
      if (range !== null) add(range.ordinals, range.start, range.end);
      else {
        const { keys, start, end } = prefixRange(snapshot, test.subject, test.prefix!, test.prefix!.length)!;
        for (let i = start; i < end; i++) {
          add(snapshot.postings, snapshot.keyStart[keys[i]!]!, snapshot.keyStart[keys[i]! + 1]!);
        }
      }
      break;
    }
    default:
  }
  return count;
}

function bestChild(snapshot: Snapshot, test: Test): Test {
  let best = test.children[0]!;
  let least = EVERYTHING;
  for (const child of test.children) {
    const size = estimate(snapshot, child);
    if (size < least) {
      least = size;
      best = child;
    }
  }
  return best;
}

/** Without the part that every candidate satisfies anyway. */
function remaining(test: Test, driver: Test): Test | null {
  if (test === driver) return isExact(driver) ? null : test;
  if (test.kind !== KIND.and || !isExact(driver)) return test;
  const children = test.children.filter((child) => child !== driver);
  if (children.length === 1) return children[0]!;
  return { ...test, children, byShape: children.every(({ byShape }) => byShape) };
}

/** Ascending, each once; in place. @returns how many are left. */
function sortUnique(list: Uint32Array): number {
  list.sort();
  let count = 0;
  for (let i = 0; i < list.length; i++) if (i === 0 || list[i] !== list[i - 1]) list[count++] = list[i]!;
  return count;
}

/**
 * Chooses which entries between two ordinals to look at: those on the shortest list that the filter allows, or all of
 * them when no list is much shorter.
 */
export function plan(snapshot: Snapshot, test: Test, start: number, end: number): Candidates {
  if (test.kind === KIND.constant) {
    return test.truth === TRUE ? { list: null, start, end, test: null } : { list: null, start, end: start, test: null };
  }
  // Asking the indexes costs more than looking.
  if (end - start <= 8) return { list: null, start, end, test };
  const driver = test.kind === KIND.and ? bestChild(snapshot, test) : test;
  const size = estimate(snapshot, driver);
  if (size === 0) return { list: null, start, end: start, test: null };
  if (driver.kind === KIND.key || driver.kind === KIND.isA) {
    const [list, starts] =
      driver.kind === KIND.key ? [snapshot.postings, snapshot.keyStart] : [snapshot.classPostings, snapshot.classStart];
    const listEnd = starts[driver.subject + 1]!;
    const from = lowerBound(list, starts[driver.subject]!, listEnd, start);
    return { list, start: from, end: lowerBound(list, from, listEnd, end), test: remaining(test, driver) };
  }
  // Sorting a list costs about as much as looking at four times as many entries in turn.
  if (size * 4 > end - start) return { list: null, start, end, test };
  const list = new Uint32Array(size);
  const count = sortUnique(list.subarray(0, collect(snapshot, driver, list, 0)));
  const from = lowerBound(list, 0, count, start);
  return { list, own: list, start: from, end: lowerBound(list, from, count, end), test: remaining(test, driver) };
}
