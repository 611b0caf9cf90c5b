import assert from 'node:assert/strict';
import { copyFile, mkdtemp, open, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import BetterSqlite from 'better-sqlite3';
import { sql } from 'kysely';
import { openDatabase } from './database.ts';
import type { Durability } from './engine.ts';
import { kysely } from './query.ts';
import { openTestSqlite } from './test-databases.ts';
import { TEST_FOLDER } from './test-postgres.ts';
import type { DatabaseTrouble } from './trouble.ts';

/** Microseconds of processor time of this thread: what others do on the machine meanwhile does not count. */
const spent = (): number => {
  const { user, system } = process.threadCpuUsage();
  return user + system;
};

test('a read costs the same however many others come at the same moment', async (t) => {
  const db = await openTestSqlite(t);
  const read = () => kysely(db.query).selectFrom('event_head').selectAll().executeTakeFirstOrThrow();
  /** Microseconds that 4,000 reads cost, in bursts of so many. */
  async function costInBursts(of: number): Promise<number> {
    const before = spent();
    for (let done = 0; done < 4000; done += of) await Promise.all(Array.from({ length: of }, read));
    return spent() - before;
  }
  await costInBursts(4000);
  const few: number[] = [];
  const many: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    few.push(await costInBursts(100));
    many.push(await costInBursts(4000));
  }
  // The best of each: what a read costs when nothing else falls into it, such as a collection of garbage.
  const ratio = Math.min(...many) / Math.min(...few);
  assert.ok(ratio < 2, `a read among 4,000 costs ${ratio.toFixed(1)} times one among 100`);
});

test('reads see what is committed, and nothing of what is not', async (t) => {
  const db = await openTestSqlite(t);
  const names = async () => (await kysely(db.query).selectFrom('meta').select('key').execute()).map(({ key }) => key);
  await db.transaction(async ({ query }) => {
    await kysely(query).insertInto('meta').values({ key: 'a', value: '1' }).execute();
    assert.deepEqual(await names(), []);
  });
  assert.deepEqual(await names(), ['a']);
});

test('every transaction waits for the disk, unless it and all that it is committed with may be lost', async (t) => {
  const db = await openTestSqlite(t);
  const asked = (durability?: Durability) =>
    db.transaction(async ({ query }) => {
      const { rows } = await sql<{ synchronous: number }>`pragma synchronous`.execute(kysely(query));
      return rows[0]!.synchronous;
    }, durability);
  const [normal, full] = [1, 2];
  assert.equal(await asked(), full);
  assert.equal(await asked({ mayBeLost: true }), normal);
  assert.equal(await asked({ mayBeLost: false }), full);
  const lost = { mayBeLost: true };
  assert.deepEqual(await Promise.all([asked(lost), asked(), asked(lost)]), [full, full, full]);
  assert.deepEqual(await Promise.all([asked(lost), asked(lost)]), [normal, normal]);
  await assert.rejects(
    db.transaction(async () => {
      throw new Error('rolled back');
    }, lost),
  );
  assert.equal(await asked(), full);
});

test('a power cut takes what may be lost and nothing before it, and what waits for the disk keeps both', async (t) => {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-power-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const dsn = join(folder, 'test.db');
  const db = await openDatabase({ driver: 'sqlite', dsn });
  t.after(() => db.close());
  const write = (key: string, durability?: Durability) =>
    db.transaction(({ query }) => kysely(query).insertInto('meta').values({ key, value: '' }).execute(), durability);
  const logSize = async () => (await stat(`${dsn}-wal`)).size;
  /** What is there when nothing of the log behind an octet has reached the disk. */
  async function afterCut(octets: number): Promise<string[]> {
    const cut = join(folder, `cut-${octets}.db`);
    await copyFile(dsn, cut);
    await copyFile(`${dsn}-wal`, `${cut}-wal`);
    await truncate(`${cut}-wal`, octets);
    const left = await openDatabase({ driver: 'sqlite', dsn: cut });
    try {
      return (await kysely(left.query).selectFrom('meta').select('key').orderBy('key').execute()).map(({ key }) => key);
    } finally {
      await left.close();
    }
  }
  await write('1 waited');
  const waited = await logSize();
  await write('2 not waited', { mayBeLost: true });
  const notWaited = await logSize();
  assert.ok(notWaited > waited, 'it stands in the log');
  await write('3 waited');
  assert.deepEqual(await afterCut(waited), ['1 waited']);
  assert.deepEqual(await afterCut(notWaited - 1), ['1 waited']);
  assert.deepEqual(await afterCut(await logSize()), ['1 waited', '2 not waited', '3 waited']);
});

test('a page that is damaged is noticed when it is read, and its table is named', async (t) => {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-damaged-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const dsn = join(folder, 'test.db');
  await (await openDatabase({ driver: 'sqlite', dsn })).close();
  const plain = new BetterSqlite(dsn);
  const page = plain.prepare(`select rootpage from sqlite_master where name = 'hosts'`).pluck().get() as number;
  const size = plain.pragma('page_size', { simple: true }) as number;
  plain.close();
  const file = await open(dsn, 'r+');
  await file.write(Buffer.alloc(size, 0xaa), 0, size, (page - 1) * size);
  await file.close();

  const told: DatabaseTrouble[] = [];
  const db = await openDatabase(
    { driver: 'sqlite', dsn },
    {
      begins: (trouble) => void told.push(trouble),
      ends: () => assert.fail('nobody can say that damage is over'),
    },
  );
  t.after(() => db.close());
  const read = (query: typeof db.query) => kysely(query).selectFrom('hosts').selectAll().execute();
  const damaged = { kind: 'damaged', table: 'hosts' };
  await assert.rejects(read(db.query), damaged);
  await assert.rejects(
    db.transaction(({ query }) => read(query)),
    damaged,
  );
  assert.match(told[0]!.message, /the database is damaged, noticed at table hosts: database disk image is malformed/);
  assert.equal(told.filter(({ table }) => table === 'hosts').length, 1, 'once, however many fail of it');
  assert.deepEqual(await kysely(db.query).selectFrom('people').selectAll().execute(), []);
});
