import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Replaces a file whole, readable by this user alone: a crash or a full disk leaves the old or the new text, never half of
 * one.
 *
 * @throws what the system said; nothing of the new text is left then
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  // What lies there is of a run that broke off, or a link that somebody laid: it is not written through.
  await rm(draft, { force: true });
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
  // The rename itself must survive a power cut too. Not every system can open a folder.
  const folder = await open(dirname(path), 'r').catch(() => null);
  await folder?.sync().catch(() => {});
  await folder?.close();
}
