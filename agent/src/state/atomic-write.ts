import { randomBytes } from 'node:crypto';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Makes a rename or removal in this folder survive a power failure. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Replaces a file so that a reader, or a crash, sees the old bytes or the new ones and never a part: temporary file in
 * the same folder, fsync, rename, fsync of the folder. The mode is set before the first byte is written.
 *
 * @param owner given when the file must not belong to the account we run as.
 */
export async function atomicWrite(
  path: string,
  content: string | Uint8Array,
  mode = 0o600,
  owner?: { uid: number; gid: number },
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      if (owner) await file.chown(owner.uid, owner.gid);
      await file.chmod(mode);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Removes what writers of this file left beside it when they were killed. Nobody may be writing it. */
export async function removeLeftovers(path: string): Promise<void> {
  const start = `.${basename(path)}.`;
  const isLeftover = (name: string) => name.startsWith(start) && /^[0-9a-f]{12}$/.test(name.slice(start.length));
  for (const name of (await readdir(dirname(path)).catch(() => [])).filter(isLeftover))
    await rm(join(dirname(path), name), { force: true });
}
