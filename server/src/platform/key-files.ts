import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { aboutFile } from '#shared/system-error.ts';
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

/** Written once, never over an existing file, on disk before it is used; nothing is left of one that could not be. */
export async function writeNew(path: string, content: string | AsyncIterable<string>): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw aboutFile(error, path);
  } finally {
    await file.close();
  }
}

/** The text of a file. What fails says which file that was. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw aboutFile(error, path);
  }
}

/** As {@link readText}, before anything else goes on. */
export function readTextSync(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw aboutFile(error, path);
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

/**
 * Reads a file of the keys folder, and says which one it was when it is not what it should be. The cause is not told: what a
 * parser quotes may be part of a key.
 *
 * @param what what it should be, in words
 */
export async function readKey<T>(path: string, what: string, read: (content: string) => T): Promise<Awaited<T>> {
  // As it lies there: what is no text has another length once it was made into text.
  const content = await readFile(path).catch((error: unknown) => {
    throw aboutFile(error, path);
  });
  try {
    return await read(content.toString('utf8'));
  } catch {
    throw new Error(`${path} is no ${what}: it has ${content.length} bytes. Restore it from a backup.`);
  }
}
