import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusal } from '#shared/errors.ts';
import type { UnitOfWork } from './database.ts';
import { createTogether, type Outcome, proceed, refusedWith } from './together.ts';
import { DatabaseTrouble } from './trouble.ts';

/** A database that says which items were done in one transaction, and whether that was committed. */
function setUp(run: (items: readonly string[]) => Outcome<string>[]) {
  const transactions: string[] = [];
  const ask = createTogether<string, string>({
    db: {
      driver: 'sqlite',
      async transaction(body) {
        return body(undefined as unknown as UnitOfWork);
      },
    },
    keyOf: (item) => item[0]!,
    async run(_, items) {
      const outcomes = run(items);
      transactions.push(items.join(' '));
      return outcomes;
    },
  });
  return { ask, transactions };
}

const done = (items: readonly string[]) => items.map((item) => ({ value: `${item} is done` }));

test('who asks at the same moment shares a transaction, and each is told what became of it', async () => {
  const { ask, transactions } = setUp((items) =>
    items.map((item) => (item === 'c1' ? { refusal: new Refusal('nonce_reused') } : { value: `${item} is done` })),
  );
  const told = await Promise.allSettled(['a1', 'b1', 'c1', 'd1'].map(ask));
  assert.deepEqual(transactions, ['a1 b1 c1 d1']);
  assert.deepEqual(
    told.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.code)),
    ['a1 is done', 'b1 is done', 'nonce_reused', 'd1 is done'],
  );
});

test('those that are ready wait a moment for those that are on their way, and not for one that never comes', async () => {
  const { ask, transactions } = setUp(done);
  const later = (ms: number, item: string) => new Promise<string>((resolve) => setTimeout(resolve, ms, item));
  await Promise.all([ask('a1'), ask(later(1, 'b1'))]);
  assert.deepEqual(transactions, ['a1 b1']);
  const never = ask(new Promise<string>(() => {}));
  assert.equal(await ask('c1'), 'c1 is done');
  const failed = assert.rejects(ask(Promise.reject(new Error('its signature is wrong'))), /its signature is wrong/);
  assert.equal(await ask('d1'), 'd1 is done');
  await failed;
  assert.deepEqual(transactions, ['a1 b1', 'c1', 'd1']);
  void never;
});

test('of two with the same key the second one comes when the first one is done', async () => {
  const { ask, transactions } = setUp(done);
  await Promise.all(['a1', 'a2', 'b1', 'a3'].map(ask));
  assert.deepEqual(transactions, ['a1 b1', 'a2', 'a3']);
});

test('whoever makes a transaction fail does so alone in the end', async () => {
  const bad = new Error('this one cannot be written');
  const { ask, transactions } = setUp((items) => {
    if (items.includes('e1')) throw bad;
    return done(items);
  });
  const told = await Promise.allSettled(['a1', 'b1', 'c1', 'd1', 'e1', 'f1', 'g1'].map(ask));
  assert.deepEqual(transactions, ['a1 b1 c1', 'd1', 'f1 g1']);
  assert.deepEqual(
    told.map((one) => (one.status === 'fulfilled' ? one.value : one.reason)),
    ['a1 is done', 'b1 is done', 'c1 is done', 'd1 is done', bad, 'f1 is done', 'g1 is done'],
  );
});

test('what may have been done is not done again: trouble of the database is told to all of them', async () => {
  let tries = 0;
  const { ask } = setUp(() => {
    tries += 1;
    throw new DatabaseTrouble('away', new Error('the connection ended at the commit'));
  });
  const told = await Promise.allSettled(['a1', 'b1', 'c1'].map(ask));
  assert.equal(tries, 1);
  assert.ok(told.every((one) => one.status === 'rejected' && one.reason instanceof DatabaseTrouble));
});

test('a step sees only those that were not refused before it, and every outcome keeps its place', async () => {
  const seen: number[][] = [];
  const outcomes = await proceed<number, string>(
    [{ value: 1 }, refusedWith(new Refusal('stale_record')), { value: 3 }],
    (values) => {
      seen.push(values);
      return values.map((value) => ({ value: `number ${value}` }));
    },
  );
  assert.deepEqual(seen, [[1, 3]]);
  assert.deepEqual(
    outcomes.map((one) => ('value' in one ? one.value : one.refusal.code)),
    ['number 1', 'stale_record', 'number 3'],
  );
});
