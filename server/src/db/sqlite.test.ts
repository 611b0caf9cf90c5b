import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kysely } from './query.ts';
import { openTestSqlite } from './test-databases.ts';

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
