import { existsSync } from 'node:fs';
import { dirname } from 'node:path';

/** What is told to people where the system's own words are for programmers. The words of others stay. */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EEXIST: 'it is there already',
  ENOTDIR: 'a part of this path is a file, not a folder',
  EISDIR: 'it is a folder',
  ENOTEMPTY: 'it is not empty',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system may only be read',
  EPERM: 'not permitted',
  EIO: 'the disk does not read or write',
  EMFILE: 'too many files are open',
  EADDRINUSE: 'another process listens there already',
  EADDRNOTAVAIL: 'this machine has no such address',
};

const READS = ['read', 'scandir', 'opendir', 'readlink', 'stat', 'lstat', 'statfs', 'realpath', 'access'];
const WRITES = ['write', 'fsync', 'fdatasync', 'ftruncate', 'truncate'];
/** Where opening a file fails of these, it was to be written. */
const OF_WRITING = ['EEXIST', 'ENOSPC', 'EDQUOT', 'EROFS'];
const DOES: Readonly<Record<string, string>> = {
  mkdir: 'make the folder',
  rmdir: 'remove the folder',
  unlink: 'remove',
  rm: 'remove',
  chmod: 'change the mode of',
  chown: 'change the owner of',
  copyfile: 'copy',
  cp: 'copy',
  link: 'link',
  rename: 'rename',
  listen: 'listen on',
  bind: 'listen on',
};

type SystemError = Error & {
  code: string;
  syscall: string;
  path?: string;
  dest?: string;
  address?: string;
  port?: number;
  info?: { code?: string };
};

const isSystemError = (error: unknown): error is SystemError =>
  error instanceof Error &&
  'code' in error &&
  /^(?:E[A-Z0-9]+$|ERR_FS_)/.test(String(error.code)) &&
  'syscall' in error &&
  typeof error.syscall === 'string';

/** The system's own words of `EACCES: permission denied, open '/x'` and `listen EACCES: permission denied :::80`. */
const ownWords = (message: string): string =>
  /^(?:\w+ )?E[A-Z0-9]+: ([^,:]*[^,: ])/.exec(message)?.[1]?.toLowerCase() ?? message;

function verb(code: string, syscall: string): string {
  if (syscall === 'open') return OF_WRITING.includes(code) ? 'write' : 'open';
  if (READS.includes(syscall)) return 'read';
  return WRITES.includes(syscall) ? 'write' : (DOES[syscall] ?? syscall);
}

/**
 * Why a file or a folder could not be worked with, in words alone.
 *
 * @returns null when it was not the operating system that refused it
 */
export function systemReason(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || !/^E[A-Z0-9]+$/.test(String(error.code))) return null;
  return WORDS[String(error.code)] ?? ownWords(error.message);
}

/** The first folder of a path that is not there; null when it is the last part alone. */
function missingFolder(path: string): string | null {
  let missing: string | null = null;
  for (let folder = dirname(path); folder !== dirname(folder) && !existsSync(folder); folder = dirname(folder))
    missing = folder;
  return missing;
}

/**
 * What people are told of a failure of the operating system: `cannot write /path: no space left on the disk`.
 *
 * @returns null when it is none that a file or an address has to do with
 */
export function systemErrorText(error: unknown): string | null {
  if (!isSystemError(error)) return null;
  const { path, dest, address, port, syscall } = error;
  const code = error.info?.code ?? error.code;
  const why = WORDS[code] ?? ownWords(error.message);
  const isAddress = path === undefined && port !== undefined;
  const what = isAddress ? `${address?.includes(':') ? `[${address}]` : address}:${port}` : path;
  if (what === undefined)
    return READS.includes(syscall) || WRITES.includes(syscall) ? `cannot ${verb(code, syscall)}: ${why}` : null;
  const where = dest === undefined ? what : `${what} to ${dest}`;
  const missing = code === 'ENOENT' ? missingFolder(what) : null;
  return `cannot ${verb(code, syscall)} ${where}: ${missing === null ? why : `there is no folder ${missing}`}`;
}

/** The same failure with the file that it is about: what fails after a file was opened does not say which one that was. */
export function aboutFile(error: unknown, path: string): unknown {
  if (isSystemError(error)) error.path ??= path;
  return error;
}
