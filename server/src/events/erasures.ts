import { z } from 'zod';
import { isErased, type LoggedEvent } from '#shared/events.ts';

/** What an event `audit_erased` says: of which events, from which number to which. */
export const erasure = z.object({
  topic: z.string(),
  /** Names of the events that were erased. */
  events: z.array(z.string()),
  from: z.int(),
  to: z.int(),
  count: z.int(),
  /** What was older than this, milliseconds since the epoch. */
  before: z.int(),
  /** Name of the file in the archive that has them, and its SHA-256, base64url. */
  archive: z.string(),
  sha256: z.string(),
});
export type Erasure = z.infer<typeof erasure>;

/** Where in ascending numbers the first one stands that is not smaller. */
function placeOf(number: number, numbers: readonly number[]): number {
  let [from, to] = [0, numbers.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (numbers[middle]! < number) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Whether events that are erased are those which the log says were to be. */
export function createErasures() {
  const said: Erasure[] = [];
  /** Numbers of what is erased, by name, ascending. */
  const erased = new Map<string, number[]>();
  return {
    /** @param event the next one of the log */
    note(event: LoggedEvent): void {
      if (isErased(event)) {
        const known = erased.get(event.event);
        if (known) known.push(event.seq);
        else erased.set(event.event, [event.seq]);
      } else if (event.event === 'audit_erased') {
        const read = erasure.safeParse(event.data);
        // What it says is of what came before it.
        if (read.success && read.data.to < event.seq) said.push(read.data);
      }
    },
    /**
     * The first event that is erased, and nothing says so; null: there is none. Where more are erased than were said to be,
     * nobody knows any more which of them were not, and it is the first of all of them: what somebody else had erased before
     * would pass for a part of what was erased around it.
     */
    unsaid(): number | null {
      const left = new Map([...erased].map(([name, numbers]) => [name, [...numbers]]));
      const found: number[] = [];
      for (const { events, from, to, count } of said) {
        const meant = [...new Set(events)].flatMap((name) => {
          const numbers = left.get(name) ?? [];
          const first = placeOf(from, numbers);
          return numbers.splice(first, Math.max(0, placeOf(to + 1, numbers) - first));
        });
        if (meant.length > count) found.push(meant.reduce((one, other) => Math.min(one, other)));
      }
      for (const [first] of left.values()) if (first !== undefined) found.push(first);
      return found.length === 0 ? null : found.reduce((one, other) => Math.min(one, other));
    },
  };
}
