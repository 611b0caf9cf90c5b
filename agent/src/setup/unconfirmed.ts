import { lstat, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { atomicWrite, removeLeftovers, syncFolder } from '../state/atomic-write.ts';
import { readTrustedFile, UntrustedFile } from '../state/trusted-file.ts';
import { MAX_BYTES, manifestPath, snapshotShape } from './backup.ts';
import type { Change } from './plan.ts';
import { moment, type Session, session } from './session.ts';

const shape = z.strictObject({
  v: z.literal(1),
  /** Milliseconds since the epoch: after this, everything is put back. */
  until: z.int(),
  /** False while setup is at work: nobody can confirm what is half done. */
  whole: z.boolean(),
  /** Who ran setup since the last confirmation. */
  sessions: z.array(session).min(1),
  /** When all was in place; null: it is not yet. */
  since: moment.nullable().default(null),
  changes: z.array(
    z.strictObject({ path: z.string(), before: snapshotShape.nullable(), after: snapshotShape.nullable() }),
  ),
  /** Files whose original is known only since then. */
  added: z.array(z.string()),
  /** Which directory was used before, as it stands in the state folder; null: none. */
  directory: z.string().nullable(),
});

/** What setup has changed and nobody has confirmed yet. */
export type Unconfirmed = z.infer<typeof shape>;

/** `reverting`: it is being put back, and cannot be confirmed any more. */
const FILES = { waiting: 'unconfirmed.json', reverting: 'reverting.json' } as const;
type State = keyof typeof FILES;

export const unconfirmedFile = (backup: string, state: State = 'waiting'): string => join(backup, FILES[state]);

/** Every file that may be there while something waits. */
export const unconfirmedFiles = (backup: string): [string, string] => [
  unconfirmedFile(backup, 'waiting'),
  unconfirmedFile(backup, 'reverting'),
];

/** @returns null when nothing waits. @throws UntrustedFile */
export async function readUnconfirmed(backup: string, state: State = 'waiting'): Promise<Unconfirmed | null> {
  const path = unconfirmedFile(backup, state);
  const bytes = await readTrustedFile(path, { private: true, maxBytes: MAX_BYTES });
  if (bytes === null) return null;
  try {
    return shape.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    throw new UntrustedFile(path, `${path} is damaged. The way back: identree setup --undo`);
  }
}

/** True also when it cannot be read. */
export async function somethingWaits(backup: string): Promise<boolean> {
  for (const path of unconfirmedFiles(backup)) if ((await lstat(path).catch(() => null)) !== null) return true;
  return false;
}

export async function writeUnconfirmed(backup: string, content: Unconfirmed): Promise<void> {
  await mkdir(backup, { recursive: true, mode: 0o700 });
  await atomicWrite(unconfirmedFile(backup), `${JSON.stringify(content)}\n`);
}

/** From now on it is put back, however often that is interrupted. @returns null when nothing waits. */
export async function claimForRevert(backup: string): Promise<Unconfirmed | null> {
  await rename(unconfirmedFile(backup), unconfirmedFile(backup, 'reverting')).catch(ifMissing);
  return readUnconfirmed(backup, 'reverting');
}

/** @returns false when somebody else has decided: confirmed it, or puts it back. */
export async function confirmUnconfirmed(backup: string): Promise<boolean> {
  const gone = await rm(unconfirmedFile(backup)).then(() => true, ifMissing);
  if (gone !== true) return false;
  await syncFolder(backup);
  return true;
}

export async function forgetUnconfirmed(backup: string): Promise<void> {
  for (const path of unconfirmedFiles(backup)) await rm(path, { force: true });
}

/** Removes what a setup that was killed had begun to write here: copies of files. Nobody may be setting up. */
export async function removeHalfWritten(backup: string): Promise<void> {
  for (const path of [manifestPath(backup), ...unconfirmedFiles(backup)]) await removeLeftovers(path);
}

function ifMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

/**
 * What there is to put back after one more setup: of each file what it was when somebody last confirmed, and what it has
 * become now.
 */
export function mergeUnconfirmed(
  earlier: Unconfirmed | null,
  now: {
    until: number;
    session: Session;
    changes: readonly Change[];
    added: readonly string[];
    directory: string | null;
  },
): Unconfirmed {
  const changes = new Map(earlier?.changes.map((change) => [change.path, change]));
  for (const { path, before, after } of now.changes)
    changes.set(path, { path, before: changes.has(path) ? changes.get(path)!.before : before, after });
  return {
    v: 1,
    until: now.until,
    whole: false,
    sessions: [...(earlier?.sessions ?? []), now.session],
    since: null,
    changes: [...changes.values()],
    added: [...new Set([...(earlier?.added ?? []), ...now.added])],
    directory: earlier ? earlier.directory : now.directory,
  };
}

/** What somebody reads who finds that something waits. @param until milliseconds since the epoch */
export const untilWhen = (until: number): string =>
  `At ${new Date(until).toISOString().slice(0, 16).replace('T', ' ')} UTC what setup changed is put back. To keep it, log in anew and run:  identree setup --confirm`;
