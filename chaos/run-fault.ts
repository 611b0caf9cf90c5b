import type { Outcome, Scope } from './fault.ts';
import type { NamedFault } from './list-faults.ts';

/** Brings a fault about, and takes away what was needed for it whatever comes of it. */
export async function runFault(fault: NamedFault, { short }: Pick<Scope, 'short'>): Promise<Outcome> {
  const ends: (() => unknown)[] = [];
  try {
    return await fault.run({ short, after: (end) => void ends.push(end) });
  } finally {
    // What was begun last may stand on what was begun before it.
    for (const end of ends.reverse()) await end();
  }
}
