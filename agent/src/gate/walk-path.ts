import type { BigIntStats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';

/** Where a path leads, and whether anybody but root can lead it elsewhere. */
export interface WalkedPath {
  /** Without symbolic links, bytes as latin1. */
  real: string;
  info: BigIntStats;
  /** Some folder or link on the way belongs to, or can be changed by, an account other than root. */
  userWritable: boolean;
  /** Every account may pass all folders on the way. */
  open: boolean;
}

/** `absent`: provably nothing there, for whoever looks. `unknown`: it could not be looked at. */
export type NoPath = 'absent' | 'unknown';

const MAX_LINKS = 40;

/** Sticky folders let every account add names, and each replace only its own. */
const STICKY = 0o1000n;

/**
 * True when an account other than root can change what this is: it owns it, or group or others may write. The group
 * root is root's own. POSIX ACLs show up here too, because their mask takes the place of the group bits.
 */
export function changeableByUsers(info: BigIntStats): boolean {
  const groupWrites = (info.mode & 0o020n) !== 0n && info.gid !== 0n;
  return info.uid !== 0n || groupWrites || (info.mode & 0o002n) !== 0n;
}

function folderChangeable(info: BigIntStats): boolean {
  if (info.uid === 0n && (info.mode & STICKY) !== 0n) return false;
  return changeableByUsers(info);
}

const NOTHING = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE']);

/** As `followPath`, where why it leads nowhere makes no difference. */
export async function walkPath(root: string, path: string): Promise<WalkedPath | null> {
  const found = await followPath(root, path);
  return typeof found === 'string' ? null : found;
}

/**
 * Follows an absolute path one component at a time, as the process whose tree `root` is would, and looks at every
 * folder and link that takes part: the kernel's own realpath would forget a link that its owner can turn elsewhere.
 *
 * @param path bytes as latin1.
 * @returns `unknown` also when it leads through /proc, where links are not what they say.
 */
export async function followPath(root: string, path: string): Promise<WalkedPath | NoPath> {
  const seen = (real: string) => Buffer.from(`${root}${real === '' ? '/' : real}`, 'latin1');
  let todo = path.split('/').filter((part) => part !== '' && part !== '.');
  let real = '';
  let links = 0;
  let userWritable = false;
  let open = true;
  let info: BigIntStats;
  try {
    // The trailing slash makes a root such as /proc/PID/root the folder and not the link.
    info = await lstat(seen(''), { bigint: true });
    while (todo.length > 0) {
      if (!info.isDirectory()) return 'absent';
      const [part, ...rest] = todo as [string, ...string[]];
      todo = rest;
      if (part === '..') {
        real = real.slice(0, Math.max(0, real.lastIndexOf('/')));
        info = await lstat(seen(real), { bigint: true });
        continue;
      }
      userWritable ||= folderChangeable(info);
      open &&= (info.mode & 0o001n) !== 0n;
      const next = `${real}/${part}`;
      if (next === '/proc') return 'unknown';
      const found = await lstat(seen(next), { bigint: true });
      if (!found.isSymbolicLink()) {
        real = next;
        info = found;
        continue;
      }
      links += 1;
      if (links > MAX_LINKS) return 'absent';
      userWritable ||= found.uid !== 0n;
      const target = (await readlink(seen(next), { encoding: 'buffer' })).toString('latin1');
      todo = [...target.split('/').filter((step) => step !== '' && step !== '.'), ...todo];
      if (target.startsWith('/')) {
        real = '';
        info = await lstat(seen(''), { bigint: true });
      }
    }
    return { real: real === '' ? '/' : real, info, userWritable, open };
  } catch (error) {
    return NOTHING.has((error as NodeJS.ErrnoException).code ?? '') ? 'absent' : 'unknown';
  }
}
