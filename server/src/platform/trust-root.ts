import { readFile, realpath, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { z } from 'zod';
import { sha256Text } from '#shared/names.ts';
import { type PublicJwk, publicJwk, type SigningKey } from '#shared/token.ts';
import { readDelegation, signDelegation } from '#shared/trust-root.ts';
import {
  ed25519Pem,
  type PublicSigningKey,
  readKey,
  replaceFile,
  signingKey,
  syncFolder,
  writeNew,
} from './key-files.ts';

/** The key that hosts pin, and what signs in its name here. */
export interface TrustRoot {
  kid: string;
  public: PublicJwk;
  /** Signs approver-key sets. Null: it is off line, and they are signed where it is. */
  key: SigningKey | null;
  /** Signs what hosts wait for: the root itself, or its delegate with the word of the root for it. */
  signer: { key: SigningKey; word: string | null };
}

export const ROOT_FILE = 'trust-root.pem';
/** What is there instead of the root once it has been taken off line. */
export const DELEGATE_FILES = ['trust-root.json', 'delegate.pem', 'delegation.jws'] as const;

const publicFile = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: sha256Text,
  kid: sha256Text,
});

/** Files that are to be there: those of the root, also while it is being taken away, or else those of its delegate. */
export const rootFilesOf = (present: ReadonlySet<string>): readonly string[] =>
  present.has(ROOT_FILE) || !DELEGATE_FILES.some((name) => present.has(name)) ? [ROOT_FILE] : DELEGATE_FILES;

/** @param names as {@link rootFilesOf} found them */
export async function loadTrustRoot(folder: string, names: readonly string[]): Promise<TrustRoot> {
  const path = (name: string) => join(folder, name);
  if (names.includes(ROOT_FILE)) {
    const root = await readKey(path(ROOT_FILE), 'Ed25519 key in PEM', signingKey);
    return { kid: root.kid, public: root.public, key: root, signer: { key: root, word: null } };
  }
  const [publicName, keyName, wordName] = DELEGATE_FILES;
  const root = await readKey(path(publicName), 'public key', (content) => publicFile.parse(JSON.parse(content)));
  const key = await readKey(path(keyName), 'Ed25519 key in PEM', signingKey);
  const word = (await readFile(path(wordName), 'utf8')).trim();
  if ((await readDelegation(word, root))?.key.kid !== key.kid)
    throw new Error(`${path(wordName)} is not the word of the trust root for ${keyName}. Restore it from a backup.`);
  return { kid: root.kid, public: root, key: null, signer: { key, word } };
}

/** Reads a private key that was carried here. @throws with a sentence when it is not the one that is meant */
export async function readRootFile(path: string, root: PublicJwk): Promise<PublicSigningKey> {
  const key = await readKey(path, 'Ed25519 key in PEM', signingKey);
  if (key.kid !== root.kid) throw new Error(`${path} holds another key than the trust root ${root.kid}.`);
  return key;
}

/** Where it is noted, beside the key, what it signed last: a request says of itself what is in force, and may leave things out. */
export const lastSignedOf = (rootFile: string): string => `${rootFile}.set`;

export const noteLastSigned = (rootFile: string, token: string): Promise<void> =>
  replaceFile(lastSignedOf(rootFile), `${token}\n`);

/** @throws when a file lies in the keys folder: it would stay on the server and in its backups, or go with the root itself */
async function checkOutside(folder: string, path: string): Promise<void> {
  const place = join(await realpath(dirname(path)), basename(path));
  const target = await realpath(place).catch(() => place);
  if (`${target}${sep}`.startsWith(`${await realpath(folder)}${sep}`))
    throw new Error(`${path} is in the keys folder. Name a file that does not stay on this server.`);
}

/** Writes the private key into a new file. */
export async function exportTrustRoot(folder: string, path: string): Promise<void> {
  await checkOutside(folder, path);
  await writeNew(path, await readFile(join(folder, ROOT_FILE), 'utf8'));
  await syncFolder(dirname(path));
}

/**
 * Takes the private key out of the folder and leaves a delegate in its place.
 *
 * @param to.carried the file that the key was written to: what nobody has any more can sign for nobody
 * @param to.lastSigned what it signed last, which is noted beside it
 */
export async function detachTrustRoot(
  folder: string,
  to: { carried: string; lastSigned: string },
  now: number,
): Promise<void> {
  const { carried } = to;
  const own = join(folder, ROOT_FILE);
  const root = await readKey(own, 'Ed25519 key in PEM', signingKey);
  await readRootFile(carried, root.public);
  await checkOutside(folder, carried);
  const [here, there] = [await stat(own), await stat(carried)];
  // By another path, as of a folder that is mounted twice.
  if (here.dev === there.dev && here.ino === there.ino)
    throw new Error(`${carried} is the trust root on this server, and no copy of it.`);
  await noteLastSigned(carried, to.lastSigned);
  const pem = ed25519Pem();
  const { public: delegate } = await signingKey(pem);
  const content = [
    `${JSON.stringify(await publicJwk(root.privateKey))}\n`,
    pem,
    `${await signDelegation(delegate, root, now)}\n`,
  ];
  for (const [index, name] of DELEGATE_FILES.entries()) {
    // Of an attempt that did not come to its end: as long as the root is here it is not in use.
    await rm(join(folder, name), { force: true });
    await writeNew(join(folder, name), content[index]!);
  }
  await syncFolder(folder);
  await rm(own);
  await syncFolder(folder);
}
