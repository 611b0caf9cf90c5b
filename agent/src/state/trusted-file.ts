import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A file that decides whom we trust is not what it should be. The message tells the operator what to do. */
export class UntrustedFile extends Error {
  readonly path: string;

  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

const octal = (mode: number) => (mode & 0o7777).toString(8).padStart(4, '0');

function ownedByUs(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

/**
 * Reads a small file that nobody but root (or the account we run as) can have written: a real file, no symlink, not
 * writable by group or others, in a folder for which the same holds. Without this, whoever can write it chooses which
 * server may say yes.
 *
 * @param options.private also refuses a file that group or others can read.
 * @returns null when the file does not exist.
 * @throws UntrustedFile
 */
export async function readTrustedFile(
  path: string,
  options: { private?: boolean; maxBytes?: number } = {},
): Promise<Buffer | null> {
  const maxBytes = options.maxBytes ?? 1024 * 1024;
  let file: FileHandle;
  try {
    const folder = await stat(dirname(path));
    if (!ownedByUs(folder.uid) || (folder.mode & 0o022) !== 0) {
      throw new UntrustedFile(
        path,
        `${dirname(path)} can be changed by others than root. Run: chown root ${dirname(path)} && chmod go-w ${dirname(path)}`,
      );
    }
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return null;
    if (code === 'ELOOP') throw new UntrustedFile(path, `${path} is a symbolic link. Put the file itself there.`);
    if (code === 'EACCES')
      throw new UntrustedFile(path, `${path} cannot be read by this account. Run the command as root.`);
    throw error;
  }
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new UntrustedFile(path, `${path} is not a regular file.`);
    if (!ownedByUs(info.uid))
      throw new UntrustedFile(path, `${path} belongs to uid ${info.uid}. Run: chown root ${path}`);
    const forbidden = options.private ? 0o077 : 0o022;
    if ((info.mode & forbidden) !== 0) {
      throw new UntrustedFile(
        path,
        `${path} has mode ${octal(info.mode)}. Run: chmod ${options.private ? 'go=' : 'go-w'} ${path}`,
      );
    }
    if (info.size > maxBytes) throw new UntrustedFile(path, `${path} is larger than ${maxBytes} bytes.`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}
