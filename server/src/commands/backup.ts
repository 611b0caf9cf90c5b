import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { type CopiedRow, copyRows, isUnused, pasteRows } from '../db/copy-store.ts';
import { openDatabase } from '../db/database.ts';
import { checkChain, readHead } from '../events/store.ts';
import { type Command, EXIT } from './command.ts';

const manifestSchema = z.object({
  v: z.literal(1),
  createdAt: z.string(),
  rows: z.int(),
  /** SHA-256 of data.jsonl, hex. */
  dataSha256: z.string(),
  head: z.object({ seq: z.int(), hash: z.string() }),
});

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

async function* readRows(path: string): AsyncGenerator<CopiedRow> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) yield JSON.parse(line) as CopiedRow;
}

/**
 * `identree-server backup FOLDER`: a consistent copy of database and keys, the same for SQLite and Postgres, so that
 * it also moves an installation from one to the other.
 */
export async function backup(command: Command, [folder]: string[]): Promise<number> {
  if (!folder) {
    command.err('use: identree-server backup FOLDER\n');
    return EXIT.usage;
  }
  await mkdir(folder, { mode: 0o700 });
  const db = await openDatabase(command.config.database);
  try {
    const manifest = await db.snapshot(async (query) => {
      let rows = 0;
      async function* lines(): AsyncGenerator<string> {
        for await (const copied of copyRows(query)) {
          rows += 1;
          yield `${JSON.stringify(copied)}\n`;
        }
      }
      const dataSha256 = await writeSynced(join(folder, 'data.jsonl'), lines());
      const head = await readHead(query);
      return { v: 1 as const, createdAt: new Date().toISOString(), rows, dataSha256, head };
    });
    await cp(command.config.keysDir, join(folder, 'keys'), { recursive: true, errorOnExist: true, force: false });
    await writeSynced(
      join(folder, 'manifest.json'),
      (async function* () {
        yield `${JSON.stringify(manifest, null, 2)}\n`;
      })(),
    );
    command.out(`Backed up ${manifest.rows} rows and the keys, up to event ${manifest.head.seq}, into ${folder}.\n`);
    return EXIT.ok;
  } finally {
    await db.close();
  }
}

/** `identree-server restore FOLDER`: into an empty database and an empty keys folder, or not at all. */
export async function restore(command: Command, [folder]: string[]): Promise<number> {
  if (!folder) {
    command.err('use: identree-server restore FOLDER\n');
    return EXIT.usage;
  }
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')));
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(join(folder, 'data.jsonl'))) hash.update(chunk as Buffer);
  if (hash.digest('hex') !== manifest.dataSha256)
    throw new Error('the backup is damaged: data.jsonl does not match its manifest');
  const existing = await readdir(command.config.keysDir).catch(() => []);
  if (existing.length > 0)
    throw new Error(`the keys folder ${command.config.keysDir} is not empty; nothing was restored`);

  const db = await openDatabase(command.config.database);
  try {
    await db.transaction(async (work) => {
      if (!(await isUnused(work.query))) throw new Error('the database is not empty; nothing was restored');
      const rows = await pasteRows(work, readRows(join(folder, 'data.jsonl')));
      if (rows !== manifest.rows) throw new Error('the backup is damaged: rows are missing');
      const problem = await checkChain(work.query);
      if (problem) throw new Error(`the backup is damaged: the event chain breaks at ${problem.seq}`);
    });
    await cp(join(folder, 'keys'), command.config.keysDir, { recursive: true, errorOnExist: true, force: false });
    command.out(`Restored ${manifest.rows} rows and the keys, up to event ${manifest.head.seq}.\n`);
    return EXIT.ok;
  } finally {
    await db.close();
  }
}
