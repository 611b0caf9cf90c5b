import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Clock } from '../platform/clock.ts';
import { atomicWrite, syncFolder } from '../state/atomic-write.ts';
import { withLock } from '../state/lock.ts';
import { readTrustedFile, UntrustedFile } from '../state/trusted-file.ts';

/**
 * Certificate, key and authorities, which belong together, in one folder per set:
 *
 *     tls/3f0c…/{client.crt,client.key,ca.crt}
 *     tls/current → 3f0c…
 *
 * Readers go through the link, and the link is replaced in one step. So there is no moment, not even after a
 * crash or a power failure, at which a reader finds the key of one certificate beside another.
 */

/** All in PEM. */
export interface CertificateSet {
  certificate: string;
  key: string;
  /** Who signs the certificate of the directory. */
  ca: string;
}

export const FILES = { certificate: 'client.crt', key: 'client.key', ca: 'ca.crt' } as const satisfies Record<
  keyof CertificateSet,
  string
>;
export const CURRENT = 'current';

const SET_NAME = /^[0-9a-f]{16}$/;
const UNFINISHED = '.new-';

export interface CertificateStore {
  /** The set in use; null when there is none or it is not whole. @throws UntrustedFile */
  current(): Promise<CertificateSet | null>;
  /**
   * Puts a set in place of the current one, which stays where it is until the next one comes.
   *
   * @param accept is asked when the files are there and not in use yet. What it answers is the reason to go on
   * with the old set; null: switch.
   * @returns the reason why it was not switched; null: it was.
   */
  put(set: CertificateSet, accept?: (folder: string) => Promise<string | null>): Promise<string | null>;
}

async function prepareFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: 0o755 });
  // The service runs with a umask that hides everything.
  if (made !== undefined) await chmod(folder, 0o755);
  const info = await lstat(folder);
  if (!info.isDirectory() || info.uid !== process.geteuid?.() || (info.mode & 0o022) !== 0) {
    throw new UntrustedFile(folder, `${folder} can be changed by others than root. Remove it and try again.`);
  }
}

async function readSet(folder: string): Promise<CertificateSet | null> {
  const read = async (name: string) => (await readTrustedFile(join(folder, name)))?.toString('utf8') ?? null;
  const certificate = await read(FILES.certificate);
  const key = await read(FILES.key);
  const ca = await read(FILES.ca);
  return certificate === null || key === null || ca === null ? null : { certificate, key, ca };
}

async function currentName(folder: string): Promise<string | null> {
  const target = await readlink(join(folder, CURRENT)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  return target !== null && SET_NAME.test(target) ? target : null;
}

/**
 * Writes a set under a name that no link points to yet.
 *
 * sssd may run as an account of its own. Setup then makes its group the owner of the folder, with the setgid bit, so
 * that what is made below belongs to that group too; the agent itself has no capability to give files away.
 */
async function writeSet(folder: string, set: CertificateSet): Promise<string> {
  const unfinished = join(folder, `${UNFINISHED}${randomBytes(8).toString('hex')}`);
  const shared = ((await lstat(folder)).mode & 0o2000) !== 0;
  await mkdir(unfinished, { mode: 0o700 });
  await atomicWrite(join(unfinished, FILES.key), set.key, shared ? 0o640 : 0o600);
  await atomicWrite(join(unfinished, FILES.certificate), set.certificate, 0o644);
  await atomicWrite(join(unfinished, FILES.ca), set.ca, 0o644);
  await chmod(unfinished, 0o755);
  const final = join(folder, randomBytes(8).toString('hex'));
  await rename(unfinished, final);
  await syncFolder(folder);
  return final;
}

async function pointAt(folder: string, name: string): Promise<void> {
  const fresh = join(folder, `${UNFINISHED}${randomBytes(8).toString('hex')}`);
  await symlink(name, fresh);
  await rename(fresh, join(folder, CURRENT));
  await syncFolder(folder);
}

/** Keys that are not in use any more do not stay. */
async function clear(folder: string, keep: readonly (string | null)[]): Promise<void> {
  for (const name of await readdir(folder)) {
    const ours = SET_NAME.test(name) || name.startsWith(UNFINISHED);
    if (ours && !keep.includes(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** @param deps.lock keeps the agent and a command of root's from doing this at the same time. */
export function createCertificateStore(deps: { folder: string; lock: string; clock: Clock }): CertificateStore {
  const { folder } = deps;
  return {
    async current() {
      const name = await currentName(folder);
      return name === null ? null : readSet(join(folder, name));
    },
    put: (set, accept = async () => null) =>
      withLock(deps.lock, deps.clock, async () => {
        await prepareFolder(folder);
        const before = await currentName(folder);
        const path = await writeSet(folder, set);
        const problem = await accept(path);
        if (problem !== null) {
          await rm(path, { recursive: true });
          return problem;
        }
        await pointAt(folder, basename(path));
        await clear(folder, [basename(path), before]);
        return null;
      }),
  };
}
