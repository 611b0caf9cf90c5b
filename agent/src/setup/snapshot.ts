import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { atomicWrite, syncFolder } from '../state/atomic-write.ts';

/** A file as it is: bytes (as latin1, so that every byte survives), mode and owner. Null: there is none. */
export interface Snapshot {
  text: string;
  mode: number;
  uid: number;
  gid: number;
}

/** @throws when it is a symlink or no regular file: replacing it would not change what it points to. */
export async function takeSnapshot(path: string): Promise<Snapshot | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      if (error.code === 'ELOOP')
        throw new Error(`${path} is a symbolic link (authselect?). identree does not edit it.`);
      throw error;
    },
  );
  if (file === null) return null;
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new Error(`${path} is not a regular file.`);
    const text = (await file.readFile()).toString('latin1');
    return { text, mode: info.mode & 0o7777, uid: info.uid, gid: info.gid };
  } finally {
    await file.close();
  }
}

export const sameSnapshot = (a: Snapshot | null, b: Snapshot | null): boolean =>
  a === null || b === null ? a === b : a.text === b.text && a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;

/** Makes the file what the snapshot says, in one step. */
export async function putSnapshot(path: string, snapshot: Snapshot | null): Promise<void> {
  if (snapshot === null) {
    await rm(path, { force: true });
    await syncFolder(dirname(path));
    return;
  }
  const { text, mode, uid, gid } = snapshot;
  await atomicWrite(path, Buffer.from(text, 'latin1'), mode, { uid, gid });
}
