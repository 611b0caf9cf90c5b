import { generateKeyPairSync } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type PublicJwk, publicJwk, type SigningKey, signingKeyFromPem } from '#shared/token.ts';

/** A new Ed25519 key, PKCS #8 in PEM. */
export function ed25519Pem(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** A new P-256 key for an authority, PKCS #8 in PEM. */
export function caKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** Written once, never over an existing file, on disk before it is used. */
export async function writeNew(path: string, content: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Has what was made, renamed or removed in a folder outlast a power failure. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync();
  await folder.close();
}

/** Replaces a file in one step: who reads it meanwhile, or after a power failure, finds what was there before or this. */
export async function replaceFile(path: string, content: string): Promise<void> {
  const fresh = `${path}.new`;
  await rm(fresh, { force: true });
  await writeNew(fresh, content);
  await rename(fresh, path);
  await syncFolder(dirname(path));
}

export type PublicSigningKey = SigningKey & { public: PublicJwk };

/** @throws when it is no Ed25519 key in PEM */
export async function signingKey(pem: string): Promise<PublicSigningKey> {
  const key = await signingKeyFromPem(pem);
  return { ...key, public: await publicJwk(key.privateKey) };
}

/** Reads a file of the keys folder, and says which one it was when it is not what it should be. */
export async function readKey<T>(path: string, what: string, read: (content: string) => T): Promise<Awaited<T>> {
  const content = await readFile(path, 'utf8');
  try {
    return await read(content);
  } catch (cause) {
    const length = Buffer.byteLength(content);
    throw new Error(`${path} is no ${what}: it has ${length} bytes. Restore it from a backup.`, { cause });
  }
}
