import { constants } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** A file that is there and was not read, with the reason for an operator. */
export interface Unreadable {
  problem: string;
}

/** The configuration of a host below some folder; `/` on a real one. All paths are absolute as on the host. */
export interface HostFiles {
  /** @returns null when there is no such file. */
  read(path: string): Promise<{ text: string } | Unreadable | null>;
  /** Names in a folder in the order of their bytes; none when there is no such folder. */
  list(path: string): Promise<string[] | Unreadable>;
}

/** Far above any configuration that people wrote, and little enough to read in a moment. */
const MAX_BYTES = 256 * 1024;
const MAX_NAMES = 4096;
/** As many as the kernel follows. */
const MAX_LINKS = 40;

class Refused extends Error {}

/** Root, or the account that a test runs as. */
const isOurs = (uid: number): boolean => uid === 0 || uid === process.geteuid?.();
/** Whose files and folders are read. */
type Trusts = (uid: number) => boolean;

/**
 * Where a path leads, step by step. We read as root: a link or a folder that a user can change would let them choose
 * which file root reads, and swap it between two looks.
 *
 * @returns the path on this machine, or null when something on the way is not there.
 * @throws Refused
 */
async function resolve(root: string, path: string, trusts: Trusts): Promise<string | null> {
  let pending = path.split('/').filter((part) => part !== '');
  let done: string[] = [];
  for (let links = 0; pending.length > 0; ) {
    const [name, ...rest] = pending as [string, ...string[]];
    pending = rest;
    if (name === '.') continue;
    if (name === '..') {
      done = done.slice(0, -1);
      continue;
    }
    const at = join(root, ...done, name);
    const shown = `/${[...done, name].join('/')}`;
    const info = await lstat(at).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      throw new Refused(`${shown} cannot be read by this account`);
    });
    if (info === null) return null;
    if (info.isSymbolicLink()) {
      if (!isOurs(info.uid)) throw new Refused(`${shown} is a symbolic link that root does not own`);
      if (++links > MAX_LINKS) throw new Refused(`${shown}: too many symbolic links`);
      const target = await readlink(at);
      if (target.startsWith('/')) done = [];
      pending = [...target.split('/').filter((part) => part !== ''), ...pending];
      continue;
    }
    if (!trusts(info.uid) || (info.mode & 0o022) !== 0)
      throw new Refused(`${shown} can be changed by others than root`);
    done.push(name);
  }
  return join(root, ...done);
}

async function refusalOr<T>(work: () => Promise<T>): Promise<T | Unreadable> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refused) return { problem: error.message };
    const { code } = error as NodeJS.ErrnoException;
    return { problem: `it cannot be read${code === undefined ? '' : ` (${code})`}` };
  }
}

/**
 * @param root folder of the host's files; `/` on the host itself.
 * @param service uid of a service that owns its own configuration, and could grant what is in it anyway. Links of it are
 *   not followed all the same.
 */
export function createHostFiles(root: string, service: number | null = null): HostFiles {
  const trusts: Trusts = (uid) => isOurs(uid) || uid === service;
  return {
    read: (path) =>
      refusalOr(async () => {
        const at = await resolve(root, path, trusts);
        if (at === null) return null;
        const file = await open(at, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
        try {
          const info = await file.stat();
          if (!info.isFile()) return { problem: 'it is not a regular file' };
          const buffer = Buffer.alloc(MAX_BYTES + 1);
          let length = 0;
          for (;;) {
            const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
            if (bytesRead === 0) break;
            length += bytesRead;
          }
          if (length > MAX_BYTES) return { problem: `it is larger than ${MAX_BYTES / 1024} KiB` };
          return { text: buffer.toString('utf8', 0, length) };
        } finally {
          await file.close();
        }
      }),
    list: (path) =>
      refusalOr(async () => {
        const at = await resolve(root, path, trusts);
        if (at === null) return [];
        const names = await readdir(at);
        if (names.length > MAX_NAMES) return { problem: `it holds more than ${MAX_NAMES} files` };
        return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
  };
}
