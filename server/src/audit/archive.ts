import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#shared/digest.ts';
import { makeFolder, syncFolder } from './folders.ts';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const FILE_MODE = 0o640;

/** A file of the archive: its name in the folder, and what it has to hash to. */
export interface Archived {
  archive: string;
  /** Base64url. */
  sha256: string;
}

/** Keeps lines of JSON in files that are written once. */
export type Archive = (name: string, lines: readonly string[]) => Promise<Archived>;

/**
 * The archive in a folder. A file is there as a whole or not at all, and on the disk when the promise resolves. Its name
 * holds a part of its hash, so that no file ever takes the place of another one. Should two servers write it at once, one may
 * fail, but neither takes what the other has not written to its end for its own.
 */
export function createArchive(folder: string): Archive {
  return async (name, lines) => {
    const text = lines.map((line) => `${line}\n`).join('');
    const digest = sha256(text);
    const archive = `${name}-${Buffer.from(digest, 'base64url').toString('hex', 0, 8)}.jsonl`;
    await makeFolder(folder);
    const path = join(folder, archive);
    // What a crash has left of it. Another server that is just writing it finds its own gone, and fails.
    for (const entry of await readdir(folder))
      if (entry.startsWith(`${archive}.`)) await rm(join(folder, entry), { force: true });
    const partial = `${path}.${randomUUID()}.partial`;
    const handle = await open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
    try {
      await handle.chmod(FILE_MODE);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, path);
    await syncFolder(folder);
    return { archive, sha256: digest };
  };
}
