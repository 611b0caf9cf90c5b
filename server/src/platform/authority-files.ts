import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { sha256 } from '#shared/digest.ts';
import { readKey, replaceFile, syncFolder, writeNew } from './key-files.ts';

/** The authority that signs for hosts, and those that count beside it while one takes the place of another. PEM. */
export interface CaFiles {
  /** P-256, PKCS #8. */
  keyPem: string;
  certificatePem: string;
  /** Known to hosts already, and will sign. */
  next: string | null;
  /** Signs nothing any more; what it has signed is good still. */
  old: string | null;
}

/** SHA-256 of a certificate, by which hosts and servers name it. */
export const fingerprintOf = (pem: string): string => sha256(new X509Certificate(pem).raw);

const NAMES_FILE = 'ca.json';
const FIRST = 'ca';
const name = z.string().regex(/^ca(-[0-9a-f]{8})?$/);
const namesFile = z.strictObject({ v: z.literal(1), signing: name, next: name.nullable(), old: name.nullable() });
/** Which files of the folder belong to which authority. */
export type CaNames = Omit<z.infer<typeof namesFile>, 'v'>;

/** The files that every folder has that knows no other authority than its first one. */
export const FIRST_CA_FILES = [`${FIRST}.pem`, `${FIRST}.crt`] as const;

/** @param present names of all files in the folder */
export async function readCaNames(folder: string, present: ReadonlySet<string>): Promise<CaNames> {
  if (!present.has(NAMES_FILE)) return { signing: FIRST, next: null, old: null };
  const read = (content: string) => namesFile.parse(JSON.parse(content));
  const { v: _, ...names } = await readKey(join(folder, NAMES_FILE), 'list of authorities', read);
  return names;
}

/** Files that are to be there. Of one that signs nothing any more there is no key. */
export const caFilesOf = ({ signing, next, old }: CaNames): string[] => [
  ...[signing, ...(next === null ? [] : [next])].flatMap((one) => [`${one}.pem`, `${one}.crt`]),
  ...(old === null ? [] : [`${old}.crt`]),
];

export async function loadCa(folder: string, { signing, next, old }: CaNames): Promise<CaFiles> {
  const certificate = (one: string) =>
    readKey(join(folder, `${one}.crt`), 'certificate in PEM', (pem) => new X509Certificate(pem) && pem);
  return {
    keyPem: await readKey(join(folder, `${signing}.pem`), 'private key in PEM', (pem) => createPrivateKey(pem) && pem),
    certificatePem: await certificate(signing),
    next: next && (await certificate(next)),
    old: old && (await certificate(old)),
  };
}

/** In one step: a server that reads meanwhile finds the names of before or those of after. */
const writeCaNames = (folder: string, names: CaNames): Promise<void> =>
  replaceFile(join(folder, NAMES_FILE), `${JSON.stringify({ v: 1, ...names })}\n`);

/** Puts the next authority beside the one that signs. @param id eight hexadecimal digits */
export async function addNextCa(
  folder: string,
  names: CaNames,
  made: { id: string; keyPem: string; certificatePem: string },
): Promise<void> {
  const next = `${FIRST}-${made.id}`;
  await writeNew(join(folder, `${next}.pem`), made.keyPem);
  await writeNew(join(folder, `${next}.crt`), made.certificatePem);
  await writeCaNames(folder, { ...names, next });
}

/** Of the one that signs no more: nothing needs its key, and somebody could. */
export async function removeOldKey(folder: string, { old }: Pick<CaNames, 'old'>): Promise<void> {
  if (old === null) return;
  await rm(join(folder, `${old}.pem`), { force: true });
  await syncFolder(folder);
}

/** The next one signs, and the key of the one before is removed. */
export async function activateNextCa(folder: string, { signing, next }: CaNames & { next: string }): Promise<void> {
  await writeCaNames(folder, { signing: next, next: null, old: signing });
  await removeOldKey(folder, { old: signing });
}

/** The old one counts no more. */
export async function removeOldCa(folder: string, { signing, old }: CaNames & { old: string }): Promise<void> {
  await writeCaNames(folder, { signing, next: null, old: null });
  await rm(join(folder, `${old}.crt`), { force: true });
  await rm(join(folder, `${old}.pem`), { force: true });
  await syncFolder(folder);
}

/** As {@link readCaNames} of a folder that is there. */
export async function caNamesIn(folder: string): Promise<CaNames> {
  const isThere = await readFile(join(folder, NAMES_FILE)).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  return readCaNames(folder, new Set(isThere ? [NAMES_FILE] : []));
}
