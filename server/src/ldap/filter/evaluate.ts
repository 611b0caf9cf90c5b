import { ID } from '../schema/schema.ts';
import { hasKey } from '../snapshot/lookup.ts';
import { findValues, found, readElement, type Snapshot, shapeHas, shapeIsA } from '../snapshot/snapshot.ts';
import { computedValues } from './computed.ts';
import { FALSE, KIND, type Test, TRUE, type Truth, UNDEFINED } from './test.ts';

/** Work done since the caller last reset it, in values looked at. */
export const effort = { spent: 0, exhausted: false };

/**
 * Values that one entry may cost. A thousand assertions about a group of a hundred thousand members would otherwise keep
 * all others waiting for as long as the client likes, because an entry is not divided into slices.
 */
export const ENTRY_EFFORT = 250_000;

/** Three-valued truth of a compiled filter for one entry. */
export function evaluate(snapshot: Snapshot, test: Test, ordinal: number): Truth {
  switch (test.kind) {
    case KIND.constant:
      return test.truth;
    case KIND.and: {
      let truth: Truth = TRUE;
      const { children } = test;
      for (let i = 0; i < children.length; i++) {
        const child = evaluate(snapshot, children[i]!, ordinal);
        if (child === FALSE) return FALSE;
        if (child === UNDEFINED) truth = UNDEFINED;
      }
      return truth;
    }
    case KIND.or: {
      let truth: Truth = FALSE;
      const { children } = test;
      for (let i = 0; i < children.length; i++) {
        const child = evaluate(snapshot, children[i]!, ordinal);
        if (child === TRUE) return TRUE;
        if (child === UNDEFINED) truth = UNDEFINED;
      }
      return truth;
    }
    case KIND.not:
      return (TRUE - evaluate(snapshot, test.children[0]!, ordinal)) as Truth;
    case KIND.present:
      return shapeHas(snapshot, snapshot.shape[ordinal]!, test.subject) ? TRUE : FALSE;
    case KIND.isA:
      return shapeIsA(snapshot, snapshot.shape[ordinal]!, test.subject) ? TRUE : FALSE;
    case KIND.key:
      effort.spent++;
      return hasKey(snapshot, test.subject, ordinal) ? TRUE : FALSE;
    case KIND.range: {
      const number = test.subject === ID.entryUSN ? snapshot.usn[ordinal]! : snapshot.modified[ordinal]!;
      return number >= test.low && number <= test.high ? TRUE : FALSE;
    }
    case KIND.values:
      return someValueMatches(snapshot, test, ordinal) ? TRUE : FALSE;
    default:
      effort.spent += 16;
      return test.entryMatcher!(ordinal) ? TRUE : FALSE;
  }
}

function someValueMatches(snapshot: Snapshot, test: Test, ordinal: number): boolean {
  const matcher = test.matcher!;
  if (!findValues(snapshot, ordinal, test.subject)) {
    return computedValues(snapshot, ordinal, test.subject).some((value) => matcher(value, 0, value.length));
  }
  const { arena } = snapshot;
  let at = found.start;
  const { end } = found;
  while (at < end) {
    if (++effort.spent > ENTRY_EFFORT) {
      effort.exhausted = true;
      return false;
    }
    readElement(arena, at);
    const next = found.end;
    if (matcher(arena, found.start, next)) return true;
    at = next;
  }
  return false;
}

/** Truth for all entries of a shape, when the filter depends on nothing else. */
export function evaluateShape(snapshot: Snapshot, test: Test, shape: number): Truth {
  switch (test.kind) {
    case KIND.constant:
      return test.truth;
    case KIND.and:
      return Math.min(TRUE, ...test.children.map((child) => evaluateShape(snapshot, child, shape))) as Truth;
    case KIND.or:
      return Math.max(FALSE, ...test.children.map((child) => evaluateShape(snapshot, child, shape))) as Truth;
    case KIND.not:
      return (TRUE - evaluateShape(snapshot, test.children[0]!, shape)) as Truth;
    case KIND.present:
      return shapeHas(snapshot, shape, test.subject) ? TRUE : FALSE;
    case KIND.isA:
      return shapeIsA(snapshot, shape, test.subject) ? TRUE : FALSE;
    default:
      throw new Error('this filter depends on more than the shape');
  }
}
