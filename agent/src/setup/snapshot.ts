import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { atomicWrite, syncFolder } from '../state/atomic-write.ts';

/** A regular file as it is: bytes (as latin1, so that every byte survives), mode and owner. */
export interface FileSnapshot {
  text: string;
  mode: number;
  uid: number;
  gid: number;
}

/** A symbolic link: where it leads. */
export interface LinkSnapshot {
  link: string;
}

export type Snapshot = FileSnapshot | LinkSnapshot;

export const isLink = (snapshot: Snapshot | null): snapshot is LinkSnapshot => snapshot !== null && 'link' in snapshot;

/** @returns null when there is none. @throws when it is neither a regular file nor a link. */
export async function takeSnapshot(path: string): Promise<Snapshot | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ELOOP') return null;
      throw error;
    },
  );
  if (file === null) {
    const link = await readlink(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    return link === null ? null : { link };
  }
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new Error(`${path} is not a regular file.`);
    const text = (await file.readFile()).toString('latin1');
    return { text, mode: info.mode & 0o7777, uid: info.uid, gid: info.gid };
  } finally {
    await file.close();
  }
}

export function sameSnapshot(a: Snapshot | null, b: Snapshot | null): boolean {
  if (a === null || b === null) return a === b;
  if (isLink(a) || isLink(b)) return isLink(a) && isLink(b) && a.link === b.link;
  return a.text === b.text && a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}

/** Makes the path what the snapshot says, in one step. */
export async function putSnapshot(path: string, snapshot: Snapshot | null): Promise<void> {
  if (snapshot === null) {
    await rm(path, { force: true });
    await syncFolder(dirname(path));
    return;
  }
  if (isLink(snapshot)) {
    const fresh = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
    await symlink(snapshot.link, fresh);
    await rename(fresh, path);
    await syncFolder(dirname(path));
    return;
  }
  const { text, mode, uid, gid } = snapshot;
  await atomicWrite(path, Buffer.from(text, 'latin1'), mode, { uid, gid });
}

/**
 * The same where the disk may be full. A file that becomes no longer than it is needs no room when it is written in its
 * own place. Half of it may be there after a crash, so this is for what would otherwise not be done at all.
 */
export async function putSnapshotSomehow(path: string, snapshot: Snapshot | null): Promise<void> {
  try {
    await putSnapshot(path, snapshot);
  } catch (error) {
    const now = await takeSnapshot(path).catch(() => null);
    const fits = snapshot !== null && !isLink(snapshot) && now !== null && !isLink(now);
    if (!fits || snapshot.text.length > now.text.length) throw error;
    const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      // Of this very file, before anything is in it: its folder may be that of an account of its own, as sssd's is.
      await file.chown(snapshot.uid, snapshot.gid);
      await file.chmod(snapshot.mode);
      await file.write(Buffer.from(snapshot.text, 'latin1'), 0, undefined, 0);
      await file.truncate(snapshot.text.length);
      await file.sync();
    } finally {
      await file.close();
    }
  }
}
