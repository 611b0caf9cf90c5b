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

/** Whether events that are erased are those which the log says were to be. */
export function createErasures() {
  const said: Erasure[] = [];
  /** Numbers of what is erased, by name. */
  const erased = new Map<string, number[]>();
  return {
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
    /** The first event that is erased, and nothing says so; null: there is none. */
    unsaid(): number | null {
      let first: number | null = null;
      for (const [name, numbers] of erased) {
        const ranges = said.filter(({ events }) => events.includes(name));
        const found = numbers.find((seq) => !ranges.some(({ from, to }) => from <= seq && seq <= to));
        if (found !== undefined) first = Math.min(first ?? found, found);
      }
      return first;
    },
  };
}
