import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { uuid } from '#shared/names.ts';
import { type CaFiles, caFilesOf, FIRST_CA_FILES, loadCa, readCaNames } from './authority-files.ts';
import { caKeyPem, ed25519Pem, type PublicSigningKey, readKey, signingKey, syncFolder, writeNew } from './key-files.ts';
import { DELEGATE_FILES, loadTrustRoot, ROOT_FILE, rootFilesOf, type TrustRoot } from './trust-root.ts';

/** The server's own keys. They live outside the database, so that a stolen database cannot sign anything. */
export interface ServerKeys {
  serverId: string;
  /** True for an evaluation installation; `serve` refuses it. */
  evaluation: boolean;
  /** Signs approver-key sets and enrolment grants; hosts pin it. */
  trustRoot: TrustRoot;
  /** Signs verdicts. */
  verdict: PublicSigningKey;
  /** Signs heads of the event log. Hosts believe it because the trust root says so. */
  log: PublicSigningKey;
  /** Signs host certificates. What a server goes by later may be another one: see `certificates`. */
  ca: CaFiles;
  /** 32 bytes that authenticate what the server keeps in the database for itself. */
  storage: Uint8Array;
}

const identity = z.strictObject({ v: z.literal(1), serverId: uuid, evaluation: z.boolean() });

const FILES = ['server.json', 'verdict.pem'] as const;
const STORAGE_FILE = 'storage.key';
const LOG_FILE = 'log.pem';
/** No host or person pins these: one that is lost is made anew, and what the old one vouched for is no longer believed. */
const RENEWABLE: Readonly<Record<string, () => string>> = {
  [STORAGE_FILE]: () => `${randomBytes(32).toString('base64url')}\n`,
  [LOG_FILE]: ed25519Pem,
};

/**
 * What becomes of a log key that is not there: a new one is made for an installation that has none, or whose operator gives
 * the old one up; a server refuses to start; and a command that signs nothing of the log does without.
 */
export type LostLogKey = 'make' | 'refuse' | 'do without';

/** As there are until a database has been claimed with keys that were just made. */
const UNCLAIMED = 'unclaimed';

/** What there is of keys in a folder: none, such as have never claimed a database, or such as have. */
export async function findKeys(folder: string): Promise<'none' | 'unclaimed' | 'claimed'> {
  const present = new Set(await readdir(folder).catch(() => []));
  if ([...FILES, ...FIRST_CA_FILES, ROOT_FILE, ...DELEGATE_FILES].every((name) => !present.has(name))) return 'none';
  return present.has(UNCLAIMED) ? 'unclaimed' : 'claimed';
}

/** From now on these keys go with the database that was claimed with them, and with no empty one. */
export async function keysAreClaimed(folder: string): Promise<void> {
  await rm(join(folder, UNCLAIMED), { force: true });
}

function storageKey(content: string): Uint8Array {
  const key = Buffer.from(content.trim(), 'base64url');
  if (key.length !== 32) throw new Error('its key has another length');
  return key;
}

/**
 * Loads the keys from a folder, or makes them in an empty one.
 *
 * @param makeCa makes the CA certificate for a new P-256 key in PEM.
 * @throws when some files are there and others are not: a missing half is a restore that went wrong, and making a new
 * one would orphan every host.
 */
export async function loadServerKeys(
  folder: string,
  options: { evaluation: boolean; makeCa: (keyPem: string) => Promise<string>; lostLogKey: LostLogKey },
): Promise<ServerKeys> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const present = new Set(await readdir(folder));
  const rootFiles = rootFilesOf(present);
  const caNames = await readCaNames(folder, present);
  const wanted = [...FILES, ...rootFiles, ...caFilesOf(caNames)];
  const missing = wanted.filter((name) => !present.has(name));
  if (missing.length === wanted.length) {
    // Never narrowed on our own: an operator who names a shared folder, /tmp say, would lock all others out of it.
    if (((await stat(folder)).mode & 0o077) !== 0) {
      throw new Error(`the keys folder ${folder} is open to other accounts: chmod 700 it first`);
    }
    const caKey = caKeyPem();
    await writeNew(join(folder, UNCLAIMED), '');
    await writeNew(join(folder, ROOT_FILE), ed25519Pem());
    await writeNew(join(folder, 'verdict.pem'), ed25519Pem());
    await writeNew(join(folder, 'ca.pem'), caKey);
    await writeNew(join(folder, 'ca.crt'), await options.makeCa(caKey));
    const fresh = { v: 1, serverId: randomUUID(), evaluation: options.evaluation };
    await writeNew(join(folder, 'server.json'), `${JSON.stringify(fresh)}\n`);
    await syncFolder(folder);
  } else if (missing.length > 0) {
    throw new Error(
      `the keys folder ${folder} is incomplete: ${missing.join(', ')} missing. Restore it from a backup.`,
    );
  }
  const noLogKey = !present.has(LOG_FILE) && options.lostLogKey !== 'make';
  if (noLogKey && options.lostLogKey === 'refuse') {
    throw new Error(
      `${join(folder, LOG_FILE)} is missing, with which this installation signs its event log. Copy it from the keys folder of another server or from a backup. If it is lost, have a new one made: identree-server restore accept --operator NAME --reason TEXT`,
    );
  }
  const renewable = Object.entries(RENEWABLE).filter(([name]) => !(noLogKey && name === LOG_FILE));
  for (const [name, make] of renewable) {
    if (present.has(name)) continue;
    await writeNew(join(folder, name), make());
    await syncFolder(folder);
  }
  for (const name of [...wanted, ...renewable.map(([name]) => name)]) {
    const info = await stat(join(folder, name));
    if ((info.mode & 0o077) !== 0) throw new Error(`${join(folder, name)} is readable by others: chmod 600 it first`);
  }
  const read = <T>(
    name: (typeof FILES)[number] | keyof typeof RENEWABLE,
    what: string,
    parse: (content: string) => T,
  ) => readKey(join(folder, name), what, parse);
  const { serverId, evaluation } = await read('server.json', 'description of a server', (content) =>
    identity.parse(JSON.parse(content)),
  );
  if (evaluation !== options.evaluation) {
    throw new Error(
      evaluation
        ? `the keys in ${folder} belong to an evaluation installation and are not accepted in production`
        : `the keys in ${folder} belong to a production installation and are not touched by evaluation mode`,
    );
  }
  return {
    serverId,
    evaluation,
    trustRoot: await loadTrustRoot(folder, rootFiles),
    verdict: await read('verdict.pem', 'Ed25519 key in PEM', signingKey),
    log: noLogKey ? await signingKey(ed25519Pem()) : await read(LOG_FILE, 'Ed25519 key in PEM', signingKey),
    ca: await loadCa(folder, caNames),
    storage: await read(STORAGE_FILE, 'key of 32 bytes in base64url', storageKey),
  };
}
