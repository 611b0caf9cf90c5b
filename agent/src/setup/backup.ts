import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { atomicWrite } from '../state/atomic-write.ts';
import { readTrustedFile, UntrustedFile } from '../state/trusted-file.ts';
import type { Snapshot } from './snapshot.ts';

/** The most that is kept of files as they were, in one file. */
export const MAX_BYTES = 16 * 1024 * 1024;

const file = z.strictObject({ text: z.string(), mode: z.int(), uid: z.int(), gid: z.int() });
const link = z.strictObject({ link: z.string() });
/** A file or a link as it is kept on disk. */
export const snapshotShape = z.union([file, link]);
const manifest = z.strictObject({
  v: z.literal(1),
  at: z.int(),
  files: z.record(z.string(), snapshotShape.nullable()),
});

/** What every file was before identree touched it first. */
export type Originals = Map<string, Snapshot | null>;

export const manifestPath = (folder: string) => join(folder, 'originals.json');

/** Empty when nothing was ever set up. @throws UntrustedFile */
export async function readOriginals(folder: string): Promise<Originals> {
  const path = manifestPath(folder);
  // As large as what setup changes may be: what cannot be read again cannot be put back.
  const bytes = await readTrustedFile(path, { private: true, maxBytes: MAX_BYTES });
  if (bytes === null) return new Map();
  try {
    return new Map(Object.entries(manifest.parse(JSON.parse(bytes.toString('utf8'))).files));
  } catch {
    throw new UntrustedFile(path, `${path} is damaged. The blocks can still be removed by hand.`);
  }
}

/** On disk before anything is changed. */
export async function writeOriginals(folder: string, originals: Originals, now: number): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const content: z.infer<typeof manifest> = { v: 1, at: now, files: Object.fromEntries(originals) };
  await atomicWrite(manifestPath(folder), `${JSON.stringify(content, null, 2)}\n`);
}

export async function forgetOriginals(folder: string): Promise<void> {
  await rm(manifestPath(folder), { force: true });
}
