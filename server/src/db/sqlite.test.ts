import assert from 'node:assert/strict';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import BetterSqlite from 'better-sqlite3';
import { openDatabase } from './database.ts';
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
