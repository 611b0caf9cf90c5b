import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kysely } from './query.ts';
import { openTestSqlite } from './test-databases.ts';

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

test('a read costs the same however many others come at the same moment', async (t) => {
  const db = await openTestSqlite(t);
  /** Milliseconds a read, in a burst of so many. */
  async function burst(reads: number): Promise<number> {
    const began = performance.now();
    await Promise.all(
      Array.from({ length: reads }, () =>
        kysely(db.query).selectFrom('event_head').selectAll().executeTakeFirstOrThrow(),
      ),
    );
    return (performance.now() - began) / reads;
  }
  await burst(4000);
  // Side by side, so that a machine that slows down slows down both.
  const rounds: { few: number; many: number }[] = [];
  for (let round = 0; round < 9; round += 1) {
    const few = median([await burst(100), await burst(100), await burst(100)]);
    rounds.push({ few, many: await burst(4000) });
  }
  const ratio = median(rounds.map(({ few, many }) => many / few));
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
