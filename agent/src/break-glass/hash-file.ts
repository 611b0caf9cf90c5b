import { lstat } from 'node:fs/promises';
import { atomicWrite } from '../state/atomic-write.ts';
import { readTrustedFile, UntrustedFile } from '../state/trusted-file.ts';

/** Where a host keeps the bcrypt hash of its break-glass password, unless client.conf names another file. */
export const HASH_FILE = '/etc/identree-breakglass';

/** What the file says: a line about the password, and its hash. */
export interface StoredHash {
  /** `$2b$12$…`: bcrypt, modular crypt format. */
  hash: string;
  /** When the password was made, milliseconds since the epoch. */
  createdAt: number;
  /** How it was made; null when the file does not say. */
  type: string | null;
  /** Under which id the server keeps the password; null: it does not. */
  escrowId: string | null;
  /** To whom it was sealed before the server was given it, see {@link sealingId}; null: to nobody. */
  sealedTo: string | null;
}

const MAX_BYTES = 512;
const BCRYPT = /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/;
const HEADER = '# identree breakglass';

const fieldOf = (header: string, name: string): string | null =>
  new RegExp(` ${name}=(\\S+)`).exec(header)?.[1] ?? null;

/** True when there is a file; a link or a folder in its place is none. */
export async function hasHashFile(path: string): Promise<boolean> {
  return lstat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}

/**
 * Reads the file. Whoever else could write it would choose the password that opens this host; whoever could read it would
 * guess at leisure.
 *
 * @returns null when there is none.
 * @throws UntrustedFile when it is a link, belongs to somebody else, is open to others, or holds no bcrypt hash.
 */
export async function readHashFile(path: string): Promise<StoredHash | null> {
  const bytes = await readTrustedFile(path, { private: true, maxBytes: MAX_BYTES });
  if (bytes === null) return null;
  const lines = bytes.toString('latin1').split('\n');
  const hash = lines.map((line) => line.trim()).find((line) => line !== '' && !line.startsWith('#')) ?? '';
  if (!BCRYPT.test(hash)) {
    throw new UntrustedFile(path, `${path} holds no bcrypt hash. Run as root: identree rotate-breakglass --force`);
  }
  const header = lines.find((line) => line.startsWith(HEADER)) ?? '';
  const told = Date.parse(fieldOf(header, 'created') ?? '');
  const createdAt = Number.isNaN(told) ? (await lstat(path)).mtimeMs : told;
  return {
    hash,
    createdAt,
    type: fieldOf(header, 'type'),
    escrowId: fieldOf(header, 'escrow'),
    sealedTo: fieldOf(header, 'sealed'),
  };
}

/** Replaces the file: a reader, or a crash, sees the old password or the new one. */
export async function writeHashFile(path: string, host: string, stored: StoredHash): Promise<void> {
  const fields = [
    `host=${host}`,
    `type=${stored.type ?? 'unknown'}`,
    `created=${new Date(stored.createdAt).toISOString()}`,
    ...(stored.escrowId === null ? [] : [`escrow=${stored.escrowId}`]),
    ...(stored.sealedTo === null ? [] : [`sealed=${stored.sealedTo}`]),
  ];
  await atomicWrite(path, `${HEADER} ${fields.join(' ')}\n${stored.hash}\n`, 0o600);
}
