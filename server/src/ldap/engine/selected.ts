import { elementEnd, type Snapshot } from '../snapshot/snapshot.ts';
import type { ShapePlan } from './projection.ts';

/** Stretches of the arena that an entry's answer is made of: from, to, … Valid until the next entry is looked at. */
export const selected = { spans: new Uint32Array(512), count: 0, octets: 0 };

/** Finds the attributes of an entry that a projection returns. @param nameEnd where the first of its attributes starts. */
export function selectAttributes(
  snapshot: Snapshot,
  { runs, count }: Pick<ShapePlan, 'runs' | 'count'>,
  ordinal: number,
  nameEnd: number,
): void {
  const { arena } = snapshot;
  const { spans } = selected;
  let at = nameEnd;
  let position = 0;
  let octets = 0;
  let spanCount = 0;
  for (let i = 0; i < runs.length; i += 2) {
    while (position < runs[i]!) {
      at = elementEnd(arena, at);
      position++;
    }
    spans[spanCount] = at;
    if (runs[i + 1] === count) at = snapshot.end[ordinal]!;
    else {
      while (position < runs[i + 1]!) {
        at = elementEnd(arena, at);
        position++;
      }
    }
    spans[spanCount + 1] = at;
    octets += at - spans[spanCount]!;
    spanCount += 2;
  }
  selected.count = spanCount;
  selected.octets = octets;
}
