import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { CommandError, EXIT } from '../exit-codes.ts';
import type { Outcome } from './outcome.ts';
import type { Target } from './targets.ts';

const entry = z.object({
  host: z.string(),
  destination: z.string(),
  server: z.string(),
  /** By the SHA-256 of its manifest. */
  release: z.string(),
  /** What else was asked for: another wish is another work. */
  words: z.array(z.string()),
  outcome: z.string(),
});

/** What was done, by run after run: a file with a line of JSON for each host. It holds no secret. */
export interface DeployRecord {
  isDone(target: Target): boolean;
  note(target: Target, outcome: Outcome): Promise<void>;
}

export const defaultRecord = (): string => join(homedir(), '.local/state/identree/deploy.jsonl');

/**
 * @param work what this run does: it counts as done only where the same was
 * @param writes false: nothing will be noted
 * @throws CommandError also when it cannot be written: before a host is done, of which nobody would know
 */
export async function openRecord(
  path: string,
  work: { server: string; release: string; words: readonly string[] },
  { now, writes }: { now: () => number; writes: boolean },
): Promise<DeployRecord> {
  const unreadable = (error: NodeJS.ErrnoException): never => {
    throw new CommandError(EXIT.failed, `${path} cannot be used as the record (${error.code}).`);
  };
  const append = (text: string) => appendFile(path, text, { mode: 0o600 }).catch(unreadable);
  if (writes) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch(unreadable);
    await append('');
  }
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? '' : unreadable(error),
  );
  const done = new Set<string>();
  const keyOf = (host: string, destination: string): string => `${host} ${destination}`;
  for (const line of text.split('\n')) {
    const read = parseLine(line);
    if (read === null || read.server !== work.server || read.release !== work.release) continue;
    if (read.words.join('\n') !== work.words.join('\n')) continue;
    const key = keyOf(read.host, read.destination);
    if (read.outcome === 'done') done.add(key);
    else done.delete(key);
  }
  return {
    isDone: ({ name, destination }) => done.has(keyOf(name, destination)),
    async note({ name, destination }, outcome) {
      if (!writes || outcome.kind === 'skipped' || outcome.kind === 'planned') return;
      const { kind, ...rest } = outcome;
      const line = { at: new Date(now()).toISOString(), host: name, destination, ...work, outcome: kind, ...rest };
      await append(`${JSON.stringify(line)}\n`);
    },
  };
}

/** Null for a line that was cut off, or written by something else. */
function parseLine(line: string): z.infer<typeof entry> | null {
  try {
    return entry.parse(JSON.parse(line));
  } catch {
    return null;
  }
}
