import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { parseJson } from '#shared/parse-json.ts';
import { type CopiedRow, copyRows, isUnused, pasteRows } from '../db/copy-store.ts';
import { type DatabaseOptions, openDatabase } from '../db/database.ts';
import { databaseName } from '../db/where-it-is.ts';
import { checkChain, readHead } from '../events/store.ts';
import { readText, syncFolder, writeNew } from '../platform/key-files.ts';
import { endGrants } from './grant-store.ts';

const manifestSchema = z.object({
  v: z.literal(1),
  createdAt: z.string(),
  rows: z.int(),
  /** SHA-256 of data.jsonl, hex. */
  dataSha256: z.string(),
  head: z.object({ seq: z.int(), hash: z.string() }),
});

/** Where everything of an installation is. */
interface BackedUp {
  database: DatabaseOptions;
  keysDir: string;
}

export type Manifest = z.infer<typeof manifestSchema>;

const DATA = 'data.jsonl';
const KEYS = 'keys';
const MANIFEST = 'manifest.json';

const COPY = { recursive: true, errorOnExist: true, force: false } as const;

const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true });

/** The folder stays: it may have been there before, of an account or on a disk of its own. */
async function empty(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await remove(join(folder, name));
}

/** What a command has made goes again when it fails: half a copy looks like a whole one to the person who needs it. */
async function orNothing<T>(folder: string, takeBack: (folder: string) => Promise<void>, run: () => Promise<T>) {
  try {
    return await run();
  } catch (error) {
    const isLeft = await takeBack(folder).then(
      () => false,
      () => true,
    );
    if (isLeft) throw new Error(`${folder} is left, is not whole, and has to be removed`, { cause: error });
    throw error;
  }
}

/** A consistent copy of database and keys in a new folder. It also moves an installation from one database to the other. */
export async function backUp(config: BackedUp, folder: string): Promise<Manifest> {
  const db = await openDatabase(config.database, undefined, 'create');
  try {
    if (await isUnused(db.query))
      throw new Error(`the database ${databaseName(config.database)} is empty, so there is nothing to back up`);
    await mkdir(folder, { mode: 0o700 });
    return await orNothing(folder, remove, async () => {
      const manifest = await db.snapshot(async (query) => {
        const hash = createHash('sha256');
        let rows = 0;
        async function* lines(): AsyncGenerator<string> {
          for await (const row of copyRows(query)) {
            rows += 1;
            const line = `${JSON.stringify(row)}\n`;
            hash.update(line);
            yield line;
          }
        }
        await writeNew(join(folder, DATA), lines());
        const head = await readHead(query);
        const dataSha256 = hash.digest('hex');
        return { v: 1 as const, createdAt: new Date().toISOString(), rows, dataSha256, head };
      });
      await cp(config.keysDir, join(folder, KEYS), COPY);
      // At last: a folder without it is no backup, whatever else is in there.
      await writeNew(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
      await syncFolder(folder);
      return manifest;
    });
  } finally {
    await db.close();
  }
}

async function* readRows(path: string): AsyncGenerator<CopiedRow> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) yield JSON.parse(line) as CopiedRow;
}

/** Reads and checks a backup: that nothing of it is missing, and that it is what was written. */
async function readManifest(folder: string): Promise<Manifest> {
  const isFolder = await stat(folder).then((found) => found.isDirectory());
  const content = await readText(join(folder, MANIFEST)).catch((error: NodeJS.ErrnoException) => {
    if (isFolder && error.code !== 'ENOENT') throw error;
    throw new Error(`${folder} is no backup: it has no ${MANIFEST}`);
  });
  const { data: manifest } = manifestSchema.safeParse(parseJson(content));
  if (manifest === undefined)
    throw new Error(`the backup ${folder} is damaged: ${MANIFEST} is not what identree-server backup wrote`);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(join(folder, DATA))) hash.update(chunk as Buffer);
  if (hash.digest('hex') !== manifest.dataSha256)
    throw new Error(`the backup ${folder} is damaged: ${DATA} does not match its manifest`);
  if ((await readdir(join(folder, KEYS))).length === 0)
    throw new Error(`the backup ${folder} is damaged: there are no keys in ${KEYS}`);
  return manifest;
}

/**
 * Puts a backup into an empty database and an empty keys folder, or does nothing at all.
 *
 * @throws when one of them is not empty, or the backup is damaged
 */
export async function restore(config: BackedUp, folder: string, now: number): Promise<Manifest> {
  const manifest = await readManifest(folder);
  const existing = await readdir(config.keysDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  const wasThere = existing !== null;
  if (wasThere && existing.length > 0)
    throw new Error(`the keys folder ${config.keysDir} is not empty; nothing was restored`);

  const notEmpty = new Error(`the database ${databaseName(config.database)} is not empty; nothing was restored`);
  const db = await openDatabase(config.database);
  try {
    if (!(await isUnused(db.query))) throw notEmpty;
    // First the keys, which are few and can be taken back: a database that is filled cannot be emptied again.
    await orNothing(config.keysDir, wasThere ? empty : remove, async () => {
      await cp(join(folder, KEYS), config.keysDir, COPY);
      await db.transaction(async (work) => {
        if (!(await isUnused(work.query))) throw notEmpty;
        const rows = await pasteRows(work, readRows(join(folder, DATA)));
        if (rows !== manifest.rows) throw new Error(`the backup ${folder} is damaged: rows are missing`);
        const problem = await checkChain(work.query);
        if (problem) throw new Error(`the backup ${folder} is damaged: the event chain breaks at ${problem.seq}`);
        await endGrants(work, now);
      });
    });
    return manifest;
  } finally {
    await db.close();
  }
}
