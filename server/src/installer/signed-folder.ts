import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  INSTALL_KEY,
  INSTALL_SCRIPT,
  isSigned,
  MANIFEST,
  MAX_MANIFEST,
  parseRelease,
  type Release,
  type ReleaseFile,
  sha256Hex,
  signatureOf,
} from '#shared/release.ts';

/** Why the folder is not handed out: for the log. */
export class NotAsSigned extends Error {}

/** Larger than any script of ours, bytes. */
const MAX_SMALL = 1024 * 1024;

/** A folder as it was signed. */
export interface SignedRelease extends Release {
  /** The key in SubjectPublicKeyInfo, PEM. */
  keyPem: string;
  manifest: Buffer;
  manifestSig: Buffer;
  script: Buffer;
  scriptSig: Buffer;
}

export interface SignedFolder {
  /** Reads what is small, and checks it. @throws NotAsSigned */
  release(): Promise<SignedRelease>;
  /** Opens a file that the manifest names, once its bytes are those that were signed. @throws NotAsSigned */
  open(file: ReleaseFile): Promise<FileHandle>;
}

/** @param verifyKeyFile null: the key in the folder is believed, since hosts check with their own anyway */
export function createSignedFolder(folder: string, verifyKeyFile: string | null): SignedFolder {
  /** Sums of large files by what says that they are the same files still. */
  const sums = new Map<string, Promise<string>>();

  async function openPlain(path: string): Promise<FileHandle> {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
      (error: NodeJS.ErrnoException) => {
        throw new NotAsSigned(`${path} cannot be read (${error.code})`);
      },
    );
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    throw new NotAsSigned(`${path} is no plain file`);
  }

  async function small(path: string, limit = MAX_SMALL): Promise<Buffer> {
    const handle = await openPlain(path);
    try {
      if ((await handle.stat()).size > limit) throw new NotAsSigned(`${path} is too large`);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  }

  async function readKey(): Promise<KeyObject> {
    const path = verifyKeyFile ?? join(folder, INSTALL_KEY);
    const pem = await small(path);
    if (pem.includes('PRIVATE KEY')) throw new NotAsSigned(`${path} is a private key, which does not belong here`);
    try {
      const key = createPublicKey(pem);
      if (key.asymmetricKeyType === 'ed25519') return key;
    } catch {
      // Said below.
    }
    throw new NotAsSigned(`${path} is no Ed25519 public key in PEM`);
  }

  async function sumOf(handle: FileHandle, size: number): Promise<string> {
    const hash = createHash('sha256');
    await pipeline(handle.createReadStream({ autoClose: false, start: 0, end: size - 1 }), hash);
    return hash.digest('hex');
  }

  return {
    async release() {
      const key = await readKey();
      const [manifest, manifestSig, script, scriptSig] = await Promise.all([
        small(join(folder, MANIFEST), MAX_MANIFEST),
        small(join(folder, signatureOf(MANIFEST))),
        small(join(folder, INSTALL_SCRIPT)),
        small(join(folder, signatureOf(INSTALL_SCRIPT))),
      ]);
      if (!isSigned(manifest, manifestSig.toString('utf8'), key)) throw new NotAsSigned('the manifest is not signed');
      if (!isSigned(script, scriptSig.toString('utf8'), key)) throw new NotAsSigned('install.sh is not signed');
      const release = parseRelease(manifest.toString('utf8'));
      if (release === null) throw new NotAsSigned('the manifest cannot be read');
      // Each was signed, and at different times: an installer refuses a manifest that names another one.
      if (release.files.find(({ name }) => name === INSTALL_SCRIPT)?.sha256 !== sha256Hex(script))
        throw new NotAsSigned('install.sh is not the one that the manifest names');
      const keyPem = key.export({ type: 'spki', format: 'pem' }) as string;
      return { ...release, keyPem, manifest, manifestSig, script, scriptSig };
    },

    async open({ name, size, sha256 }) {
      const handle = await openPlain(join(folder, name));
      try {
        const info = await handle.stat({ bigint: true });
        if (info.size !== BigInt(size)) throw new NotAsSigned(`${name} has another size than was signed`);
        const same = [name, info.dev, info.ino, info.mtimeNs, info.ctimeNs].join(' ');
        const known = sums.get(same);
        const sum = known ?? sumOf(handle, size);
        if (known === undefined) {
          for (const old of sums.keys()) if (old.startsWith(`${name} `)) sums.delete(old);
          sums.set(same, sum);
          sum.catch(() => sums.delete(same));
        }
        if ((await sum) !== sha256) throw new NotAsSigned(`${name} is not what was signed`);
        return handle;
      } catch (error) {
        await handle.close();
        throw error;
      }
    },
  };
}
