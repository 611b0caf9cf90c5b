import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { openDatabase } from '../db/database.ts';
import type { Schema } from '../db/schema.ts';
import { checkChain } from '../events/store.ts';
import { type Command, EXIT } from './command.ts';

/**
 * Every table, parents before children, with the columns that order its rows. Null: not in a backup, because it is good for
 * minutes only, or says who is doing what now.
 */
const ORDERS: Record<keyof Schema, readonly string[] | null> = {
  meta: ['key'],
  events: ['seq'],
  event_head: ['id'],
  event_cursors: ['reader'],
  hosts: ['id'],
  enrolment_tokens: ['id'],
  people: ['id'],
  account_bindings: ['account'],
  sessions: ['id_hash'],
  passkeys: ['credential_id'],
  recovery_codes: ['code_hash'],
  approver_key_sets: ['version'],
  policy_versions: ['version'],
  challenges: ['id'],
  directory_state: ['id'],
  directory_ids: ['kind', 'number'],
  directory_names: ['name'],
  directory_stamps: ['uuid'],
  directory_published: ['id'],
  directory_holds: ['id'],
  sudo_rules: ['id'],
  scim_clients: ['id'],
  scim_resources: ['id'],
  leases: null,
  host_nonces: null,
  login_attempts: null,
  ceremonies: null,
  desktop_grants: null,
};
const TABLES = Object.entries(ORDERS).flatMap(([table, order]) =>
  order === null ? [] : [[table as keyof Schema, ...order] as const],
);

const manifestSchema = z.object({
  v: z.literal(1),
  createdAt: z.string(),
  rows: z.int(),
  /** SHA-256 of data.jsonl, hex. */
  dataSha256: z.string(),
  head: z.object({ seq: z.int(), hash: z.string() }),
});

const BATCH = 500;

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
        for (const [table, ...order] of TABLES) {
          for (let offset = 0; ; offset += BATCH) {
            let select = query.selectFrom(table).selectAll().limit(BATCH).offset(offset);
            for (const column of order) select = select.orderBy(column as never);
            const batch = await select.execute();
            for (const row of batch) {
              rows += 1;
              yield `${JSON.stringify([table, row])}\n`;
            }
            if (batch.length < BATCH) break;
          }
        }
      }
      const dataSha256 = await writeSynced(join(folder, 'data.jsonl'), lines());
      const head = await query.selectFrom('event_head').select(['seq', 'hash']).executeTakeFirstOrThrow();
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
      const used = await work.query.selectFrom('meta').select('key').limit(1).executeTakeFirst();
      if (used) throw new Error('the database is not empty; nothing was restored');
      await work.query.deleteFrom('event_head').execute();
      const lines = createInterface({
        input: createReadStream(join(folder, 'data.jsonl')),
        crlfDelay: Number.POSITIVE_INFINITY,
      });
      const known = new Set<string>(TABLES.map(([table]) => table));
      let rows = 0;
      let table = '';
      let pending: object[] = [];
      const flush = async () => {
        // Small batches: SQLite binds at most 32,766 values per statement.
        for (let i = 0; i < pending.length; i += 100) {
          await work.query
            .insertInto(table as keyof Schema)
            .values(pending.slice(i, i + 100) as never)
            .execute();
        }
        rows += pending.length;
        pending = [];
      };
      for await (const line of lines) {
        const [name, row] = JSON.parse(line) as [string, object];
        if (!known.has(name)) throw new Error(`the backup is from a newer version: unknown table ${name}`);
        if (name !== table || pending.length >= BATCH) await flush();
        table = name;
        pending.push(row);
      }
      await flush();
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
