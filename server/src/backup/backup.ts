import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { type CopiedRow, copyRows, isUnused, pasteRows } from '../db/copy-store.ts';
import { type DatabaseOptions, openDatabase } from '../db/database.ts';
import { checkChain, readHead } from '../events/store.ts';

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

async function writeSynced(path: string, chunks: AsyncIterable<string>): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of chunks) {
      hash.update(chunk);
      await file.write(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/** A consistent copy of database and keys in a new folder. It also moves an installation from one database to the other. */
export async function backUp(config: BackedUp, folder: string): Promise<Manifest> {
  const db = await openDatabase(config.database, undefined, 'create');
  try {
    await mkdir(folder, { mode: 0o700 });
    const manifest = await db.snapshot(async (query) => {
      let rows = 0;
      async function* lines(): AsyncGenerator<string> {
        for await (const row of copyRows(query)) {
          rows += 1;
          yield `${JSON.stringify(row)}\n`;
        }
      }
      const dataSha256 = await writeSynced(join(folder, 'data.jsonl'), lines());
      const head = await readHead(query);
      return { v: 1 as const, createdAt: new Date().toISOString(), rows, dataSha256, head };
    });
    await cp(config.keysDir, join(folder, 'keys'), { recursive: true, errorOnExist: true, force: false });
    await writeSynced(
      join(folder, 'manifest.json'),
      (async function* () {
        yield `${JSON.stringify(manifest, null, 2)}\n`;
      })(),
    );
    return manifest;
  } finally {
    await db.close();
  }
}

async function* readRows(path: string): AsyncGenerator<CopiedRow> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) yield JSON.parse(line) as CopiedRow;
}

/**
 * Puts a backup into an empty database and an empty keys folder, or does nothing at all.
 *
 * @throws when one of them is not empty, or the backup is damaged
 */
export async function restore(config: BackedUp, folder: string): Promise<Manifest> {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')));
  const data = join(folder, 'data.jsonl');
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(data)) hash.update(chunk as Buffer);
  if (hash.digest('hex') !== manifest.dataSha256)
    throw new Error('the backup is damaged: data.jsonl does not match its manifest');
  const existing = await readdir(config.keysDir).catch(() => []);
  if (existing.length > 0) throw new Error(`the keys folder ${config.keysDir} is not empty; nothing was restored`);

  const db = await openDatabase(config.database);
  try {
    await db.transaction(async (work) => {
      if (!(await isUnused(work.query))) throw new Error('the database is not empty; nothing was restored');
      const rows = await pasteRows(work, readRows(data));
      if (rows !== manifest.rows) throw new Error('the backup is damaged: rows are missing');
      const problem = await checkChain(work.query);
      if (problem) throw new Error(`the backup is damaged: the event chain breaks at ${problem.seq}`);
    });
    await cp(join(folder, 'keys'), config.keysDir, { recursive: true, errorOnExist: true, force: false });
    return manifest;
  } finally {
    await db.close();
  }
}
