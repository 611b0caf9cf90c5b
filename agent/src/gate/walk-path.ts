import { type BigIntStats, lstatSync, readlinkSync } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { apart } from './apart.ts';
import { readMountsOfUsers } from './mounts-of-users.ts';

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

/**
 * So many names at most are looked at on one way. What programs are called by has a dozen; with 40 links of 4096 bytes each
 * somebody can make a way of 80,000, which the kernel goes in milliseconds and we in minutes, for each sudo that leads there.
 */
const MAX_STEPS = 256;

/** The names in a path, last first: the next one to look at is at the end. */
const stepsOf = (path: string): string[] =>
  path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .reverse();

/** Sticky folders let every account add names, and each replace only its own. */
const STICKY = 0o1000n;

/**
 * True when an account other than root can change what this is: it owns it, or group or others may write, whichever the
 * group is. In that of root others may be; and where there is a POSIX ACL, what all whom it names may do at most stands in
 * place of the group's bits, though they are of no group.
 */
export function changeableByUsers(info: BigIntStats): boolean {
  return info.uid !== 0n || (info.mode & 0o022n) !== 0n;
}

function folderChangeable(info: BigIntStats): boolean {
  if (info.uid === 0n && (info.mode & STICKY) !== 0n) return false;
  return changeableByUsers(info);
}

/** The whole tree of a process, or our own; what lies in a chroot may be mounted by anybody. */
const WHOLE_TREE = /^(\/proc\/[1-9][0-9]*\/root)?$/;

/** Where programs lie, and the home of root: folders of the system that only root adds to, and what is in some of them. */
const SYSTEM =
  /^(|\/(usr|s?bin|lib(32|64|x32)?|etc|root)|\/usr\/(lib|libexec|s?bin(\/[^/]+)?)|\/etc\/alternatives(\/[^/]+)?)$/;

/**
 * Whether a path is looked at without waiting. Elsewhere a look may never come back, because somebody's own file system
 * (FUSE), or one on the network, is mounted there; here nobody but root can mount one, and with the system's own programs
 * out of reach nothing else works either. A turn of the thread pool takes longer than thirty such looks, and there were
 * twenty turns for every sudo.
 *
 * @param real without symbolic links, bytes as latin1.
 */
export const isAtHand = (root: string, real: string): boolean => WHOLE_TREE.test(root) && SYSTEM.test(real);

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
 * @returns `unknown` also when it leads through /proc, where links are not what they say, into a file system that an
 *   ordinary account answers for, or on for longer than anything is followed.
 */
export async function followPath(root: string, path: string): Promise<WalkedPath | NoPath> {
  const seen = (real: string) => Buffer.from(`${root}${real === '' ? '/' : real}`, 'latin1');
  // Once others can change the way, nothing behind it is the system's own.
  const atHand = (real: string) => !userWritable && isAtHand(root, real);
  const look = (real: string) =>
    atHand(real) ? lstatSync(seen(real), { bigint: true }) : apart(() => lstat(seen(real), { bigint: true }));
  const readLink = (real: string) =>
    atHand(real) ? readlinkSync(seen(real), 'buffer') : apart(() => readlink(seen(real), { encoding: 'buffer' }));
  const todo = stepsOf(path);
  let real = '';
  let links = 0;
  let steps = 0;
  let userWritable = false;
  let open = true;
  let info: BigIntStats;
  let isOfUsers: ((real: string) => boolean) | null = null;
  try {
    // The trailing slash makes a root such as /proc/PID/root the folder and not the link.
    info = await look('');
    while (todo.length > 0) {
      if (!info.isDirectory()) return 'absent';
      steps += 1;
      if (steps > MAX_STEPS) return 'unknown';
      const part = todo.pop()!;
      if (part === '..') {
        real = real.slice(0, Math.max(0, real.lastIndexOf('/')));
        info = await look(real);
        continue;
      }
      userWritable ||= folderChangeable(info);
      open &&= (info.mode & 0o001n) !== 0n;
      const next = `${real}/${part}`;
      if (next === '/proc') return 'unknown';
      if (!atHand(next)) {
        isOfUsers ??= readMountsOfUsers(root);
        if (isOfUsers(next)) return 'unknown';
      }
      const found = await look(next);
      if (!found.isSymbolicLink()) {
        real = next;
        info = found;
        continue;
      }
      links += 1;
      if (links > MAX_LINKS) return 'absent';
      userWritable ||= found.uid !== 0n;
      const target = (await readLink(next)).toString('latin1');
      todo.push(...stepsOf(target));
      if (target.startsWith('/')) {
        real = '';
        info = await look('');
      }
    }
    return { real: real === '' ? '/' : real, info, userWritable, open };
  } catch (error) {
    return NOTHING.has((error as NodeJS.ErrnoException).code ?? '') ? 'absent' : 'unknown';
  }
}
