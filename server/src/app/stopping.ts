/** A server that stops. */
export interface Stopping {
  /** For whom it waits at this moment. */
  waitsFor: () => string[];
  /** How many connections it has ended on which no whole request came. */
  unsent: number;
}

/**
 * How long the end of a server takes at most, milliseconds, its delay included: Docker kills what takes longer than ten
 * seconds. What is under way has some time after a long delay as well.
 */
export const longestMs = (delayMs: number): number => Math.max(9000, delayMs + 4000);

/** What is waited for is looked at so often, milliseconds. What takes no longer than that is not worth a word. */
const LOOK_EVERY_MS = 500;

export interface End {
  /** Whether it came to its end; what hangs does not keep a server from ending. */
  ended: boolean;
  /** How long it took, milliseconds. */
  ms: number;
  waitedFor: readonly string[];
  unsent: number;
}

/** Waits for the end of a server, and sees for what it waits. */
export async function endsInTime(end: Promise<void>, stopping: Stopping, ms: number): Promise<End> {
  const began = performance.now();
  const waitedFor = new Set<string>();
  const looking = setInterval(() => {
    for (const what of stopping.waitsFor()) waitedFor.add(what);
  }, LOOK_EVERY_MS);
  let patience: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    patience = setTimeout(resolve, ms, false);
  });
  const ended = await Promise.race([end.then(() => true), late]);
  clearTimeout(patience);
  clearInterval(looking);
  const told = ended ? [...waitedFor] : stopping.waitsFor();
  return { ended, ms: performance.now() - began, waitedFor: told, unsent: stopping.unsent };
}

/** One line about it. */
export function endText({ ended, ms, waitedFor, unsent }: End): string {
  const what = waitedFor.length === 0 ? 'what it does not know' : waitedFor.join(', ');
  const facts = [
    ...(ended && waitedFor.length === 0 ? [] : [ended ? `waited for ${what}` : `cut off ${what}`]),
    ...(unsent === 0
      ? []
      : [`ended ${unsent === 1 ? 'one connection' : `${unsent} connections`} on which no whole request came`]),
  ];
  return `stopped after ${(ms / 1000).toFixed(1)} s: ${facts.join('; ')}`;
}
