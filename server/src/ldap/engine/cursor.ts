import type { Output } from '../ber/writer.ts';
import { effort, evaluate, evaluateShape } from '../filter/evaluate.ts';
import { type Test, TRUE } from '../filter/test.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { beginMeasuring, controlsOf, type Dereference, MEASURED, measure } from './dereference.ts';
import type { Candidates } from './plan.ts';
import type { Projection } from './projection.ts';
import { isVisible, type View } from './view.ts';
import { type Remainder, type Tail, writeEntry, writeRemainder } from './write-entry.ts';

/** Why `fill` came back. */
export const FILLED = {
  /** The budget is used up or the output is full. */
  more: 0,
  done: 1,
  /** There is at least one entry more than the size limit allows. */
  sizeLimit: 2,
  /** The page is complete and there is at least one entry more. */
  page: 3,
  /** An entry would take too much work to be tested. */
  effort: 4,
  /** More would have to be dereferenced than may be, and the client wants nothing else. */
  dereference: 5,
} as const;

export type Filled = (typeof FILLED)[keyof typeof FILLED];

/** A search under way. Knows no socket: it appends to an output and stops when told. */
export interface Cursor {
  snapshot: Snapshot;
  /** The snapshot's arena as a Buffer, whose copying is fast. */
  arena: Buffer;
  view: View;
  projection: Projection;
  candidates: Candidates;
  /** Position among the candidates. */
  at: number;
  /** Only children of this ordinal match; -1: any depth. */
  parent: number;
  /** Entries that may still be sent in all. */
  sizeLeft: number;
  /** Entries that may still be sent on this page. */
  pageLeft: number;
  sent: number;
  /** Octets that the search itself takes, roughly: its filter and its list of candidates. */
  weight: number;
  /** What testing one candidate takes from the budget, not counting the values that are looked at. */
  testWork: number;
  /** By shape: 0 not tested yet, 1 matches, 2 does not. Null when a test needs the entry. */
  byShape: Uint8Array | null;
  remainder: Remainder | null;
  /** What else is wanted of each entry. */
  dereference: Dereference | null;
}

/** Work of sending one entry; testing a candidate is 1 and whatever its values and the size of the filter take. */
export const ENTRY_WORK = 16;
/** Comparisons of a filter that are as much work as looking at one value. */
const COMPARISONS = 32;
/** What a cursor and a node of a compiled filter take, roughly. */
const CURSOR_OCTETS = 1024;
const NODE_OCTETS = 512;
/** About a hundred entries: short enough for others not to notice, long enough not to be all overhead. */
export const SLICE = 100 * ENTRY_WORK;
/** The output counts as full from here on. */
const FULL = 60 * 1024;

function countNodes({ children }: Test): number {
  let count = 1;
  for (const child of children) count += countNodes(child);
  return count;
}

export function createCursor(
  snapshot: Snapshot,
  arena: Buffer,
  view: View,
  projection: Projection,
  candidates: Candidates,
  parent: number,
  sizeLimit: number,
): Cursor {
  const { test } = candidates;
  const worthwhile = test?.byShape === true && candidates.end - candidates.start > 8;
  const testWork = test === null || worthwhile ? 1 : 1 + Math.floor(test.cost / COMPARISONS);
  return {
    snapshot,
    arena,
    view,
    projection,
    candidates,
    at: candidates.start,
    parent,
    sizeLeft: sizeLimit,
    pageLeft: Number.POSITIVE_INFINITY,
    sent: 0,
    weight: CURSOR_OCTETS + (test === null ? 0 : countNodes(test) * NODE_OCTETS) + (candidates.own?.byteLength ?? 0),
    testWork,
    byShape: worthwhile ? new Uint8Array(snapshot.shapeStructural.length) : null,
    remainder: null,
    dereference: null,
  };
}

/**
 * Appends entries until the budget is used up, the output is full or nothing is left.
 *
 * @param budget in units of work; what is left of it is in `budget.left`, negative when the last entry was costly.
 */
export function fill(cursor: Cursor, messageId: number, output: Output, budget: { left: number }): Filled {
  const { snapshot, candidates, view, arena, projection } = cursor;
  const { list, end } = candidates;
  const limit = Math.max(FULL, output.length);
  if (cursor.remainder !== null && !continueEntry(cursor, output, budget)) return FILLED.more;
  while (cursor.at < end) {
    if (budget.left <= 0 || output.length >= limit) return FILLED.more;
    const ordinal = list === null ? cursor.at : list[cursor.at]!;
    if (cursor.dereference?.ordinal !== ordinal) {
      budget.left -= cursor.testWork;
      if (
        (cursor.parent >= 0 && snapshot.parent[ordinal] !== cursor.parent) ||
        !isVisible(snapshot, view, ordinal) ||
        !matches(cursor, ordinal, budget)
      ) {
        if (effort.exhausted) {
          effort.exhausted = false;
          return FILLED.effort;
        }
        cursor.at++;
        continue;
      }
      // Only now is it known that there is one more than allowed.
      if (cursor.pageLeft === 0) return FILLED.page;
      if (cursor.sizeLeft === 0) return FILLED.sizeLimit;
    }
    let tail: Tail | null = null;
    if (cursor.dereference !== null) {
      const measured = measureEntry(cursor, cursor.dereference, ordinal, budget);
      if (measured === MEASURED.more) return FILLED.more;
      // draft-masarati-ldap-deref 2.1: what cannot be applied to an entry in its entirety is not applied to it at all.
      if (measured === MEASURED.done) tail = controlsOf(snapshot, arena, cursor.dereference);
      else if (cursor.dereference.critical) return FILLED.dereference;
    }
    cursor.at++;
    cursor.sizeLeft--;
    cursor.pageLeft--;
    cursor.sent++;
    budget.left -= ENTRY_WORK;
    cursor.remainder = writeEntry(snapshot, arena, projection, ordinal, messageId, output, tail);
    if (cursor.remainder !== null && !continueEntry(cursor, output, budget)) return FILLED.more;
  }
  return FILLED.done;
}

function measureEntry(
  cursor: Cursor,
  dereference: Dereference,
  ordinal: number,
  budget: { left: number },
): (typeof MEASURED)[keyof typeof MEASURED] {
  if (dereference.ordinal !== ordinal) beginMeasuring(dereference, ordinal);
  const before = dereference.targets.byteLength;
  const measured = measure(cursor.snapshot, cursor.view, dereference, budget);
  cursor.weight += dereference.targets.byteLength - before;
  return measured;
}

function continueEntry(cursor: Cursor, output: Output, budget: { left: number }): boolean {
  const before = output.length;
  const complete = writeRemainder(cursor.remainder!, output, Math.max(0, FULL - output.length));
  budget.left -= (output.length - before) >>> 5;
  if (complete) cursor.remainder = null;
  return complete;
}

function matches(cursor: Cursor, ordinal: number, budget: { left: number }): boolean {
  const { snapshot, byShape } = cursor;
  const { test } = cursor.candidates;
  if (test === null) return true;
  if (byShape !== null) {
    const shape = snapshot.shape[ordinal]!;
    if (byShape[shape] === 0) byShape[shape] = evaluateShape(snapshot, test, shape) === TRUE ? 1 : 2;
    return byShape[shape] === 1;
  }
  effort.spent = 0;
  const truth = evaluate(snapshot, test, ordinal);
  budget.left -= effort.spent;
  return truth === TRUE && !effort.exhausted;
}

/** How many entries there are in all, at most: what a paging client is told. */
export function estimateSize(cursor: Cursor): number {
  return Math.min(0x7fffffff, cursor.sent + cursor.candidates.end - cursor.at);
}
