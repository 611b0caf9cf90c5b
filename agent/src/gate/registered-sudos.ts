import type { ProcessReader } from './proc.ts';

/** A process, told from a later one with the same number by when it started (clock ticks since boot). */
export interface ProcessId {
  pid: number;
  start: string;
}

/** The running sudos whose plugin has said that it asks by itself. Only root reaches the socket on which they say so. */
export interface RegisteredSudos {
  add(process: ProcessId): Promise<void>;
  has(process: ProcessId): boolean;
  /** Whether it began before this agent could be reached, so that what it said may have been said to an earlier one. */
  isOlder(process: ProcessId): boolean;
}

/** As many are kept without looking which of them still run. */
const KEPT = 1024;

/** To be made right before the agent listens. */
export function createRegisteredSudos(processes: Pick<ProcessReader, 'startTime' | 'now'>): RegisteredSudos {
  const since = processes.now();
  const starts = new Map<number, string>();
  return {
    async add({ pid, start }) {
      // What it says of itself is held against the kernel: a number that was given to another process is another one.
      if ((await processes.startTime(pid)) !== start) return;
      starts.set(pid, start);
      if (starts.size <= KEPT) return;
      for (const [known, since] of [...starts]) {
        if ((await processes.startTime(known)) !== since && starts.get(known) === since) starts.delete(known);
      }
    },
    has: ({ pid, start }) => starts.get(pid) === start,
    isOlder: ({ start }) => since !== null && BigInt(start) < since,
  };
}
