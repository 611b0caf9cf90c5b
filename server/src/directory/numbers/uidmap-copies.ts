import { randomUUID } from 'node:crypto';
import { lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { formatUidMap, type UidMapFile } from './uidmap-file.ts';

/** Former copies that are kept beside the file, for the day on which the newest is wrong. */
const FORMER = 30;

/** Writes the copy of a map and keeps the ones before it as `uidmap.json.GENERATION`. @throws */
export async function writeUidMap(path: string, map: UidMapFile, issuer: string): Promise<void> {
  const text = formatUidMap(map, issuer);
  await replaceFile(path, text);
  await replaceFile(`${path}.${map.generation}`, text);
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  const former: { file: string; at: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !/^[0-9]+$/.test(name.slice(prefix.length))) continue;
    const file = join(folder, name);
    const info = await lstat(file).catch(() => null);
    if (info) former.push({ file, at: info.mtimeMs });
  }
  former.sort((a, b) => b.at - a.at);
  for (const { file } of former.slice(FORMER)) await rm(file, { force: true });
}

/** Replaces a file so that a reader, and a power cut, meet the old or the new content, never a part. @throws */
export async function replaceFile(path: string, content: string): Promise<void> {
  // Another process may do the same, also one that has the same number in another container.
  const fresh = `${path}.${randomUUID()}.new`;
  try {
    const file = await open(fresh, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
