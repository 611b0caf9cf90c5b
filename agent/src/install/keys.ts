import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmod, constants, open, readFile } from 'node:fs/promises';
import { CommandError, EXIT } from '../exit-codes.ts';

/** Bytes of a file. @throws CommandError */
export async function readInput(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new CommandError(EXIT.failed, `${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}

/** A private key as `openssl genpkey -algorithm ed25519` writes it (PKCS #8). @throws CommandError */
export async function readSigningKey(path: string): Promise<KeyObject> {
  return ed25519(path, createPrivateKey, await readInput(path));
}

/** A public key as `openssl pkey -pubout` writes it (SubjectPublicKeyInfo). @throws CommandError */
export async function readVerifyKey(path: string): Promise<KeyObject> {
  const text = await readInput(path);
  // Node would take the public half of it: who checks with a private key has it where it does not belong.
  if (text.includes('PRIVATE KEY')) throw new CommandError(EXIT.failed, `${path} is a private key, not a public one.`);
  return ed25519(path, createPublicKey, text);
}

function ed25519(path: string, read: (pem: Buffer) => KeyObject, pem: Buffer): KeyObject {
  let key: KeyObject;
  try {
    key = read(pem);
  } catch {
    throw new CommandError(EXIT.failed, `${path} is no key in PEM that OpenSSL could read, or it has a passphrase.`);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw new CommandError(EXIT.failed, `${path} is no Ed25519 key.`);
  return key;
}

export const publicPem = (key: KeyObject): string =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'pem' }) as string;

/** Writes a file that must not be there yet: one that is there may be the only copy of a key. @throws CommandError */
async function writeNew(path: string, text: string, mode: number): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await open(path, flags, mode).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'EEXIST' ? 'is there already, and is never overwritten' : `(${error.code})`;
    throw new CommandError(EXIT.failed, `${path} cannot be written: it ${why}.`);
  });
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(path, mode);
}

const exists = (path: string): Promise<boolean> =>
  open(path).then(
    (file) => file.close().then(() => true),
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  );

/**
 * Makes a pair of keys. Where the private half is there, the public one is made from it. Where only the public half is
 * there, nothing is made: the private one that belongs to it is somewhere else, and what it signs would no longer count.
 *
 * @throws CommandError
 */
export async function makeKeyPair(keyPath: string, pubPath: string, print: (line: string) => void): Promise<void> {
  if (await exists(keyPath)) {
    await writeNew(pubPath, publicPem(await readSigningKey(keyPath)), 0o644);
    print(`${pubPath} is the public half of ${keyPath}.`);
    return;
  }
  if (await exists(pubPath)) {
    throw new CommandError(
      EXIT.failed,
      `${pubPath} is there and ${keyPath} is not: find the private half, or take new names for a new pair.`,
    );
  }
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeNew(keyPath, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, 0o600);
  await writeNew(pubPath, publicPem(privateKey), 0o644);
  print(`${keyPath} signs, and stays off every server. ${pubPath} goes to the hosts, by another way than the script.`);
}
