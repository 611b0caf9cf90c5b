import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statement } from './statement.ts';
import { forEachDatabase } from './test-databases.ts';

forEachDatabase('a statement that is compiled once', (open) => {
  test('takes the values of each time, within a transaction and outside', async (t) => {
    const db = await open(t);
    let built = 0;
    const put = statement((query, given: { key: string; value: string }) => {
      built += 1;
      return query.insertInto('meta').values({ value: given.value, key: given.key });
    });
    const get = statement((query, given: { key: string }) =>
      query.selectFrom('meta').select('value').where('key', '=', given.key),
    );
    await db.transaction((work) => put(work.query, { key: 'a', value: 'of a' }));
    await db.transaction((work) => put(work.query, { key: 'b', value: "'; drop table meta; --" }));
    assert.equal(built, 1);
    assert.deepEqual((await get(db.query, { key: 'a' })).rows, [{ value: 'of a' }]);
    assert.deepEqual((await get(db.query, { key: 'b' })).rows, [{ value: "'; drop table meta; --" }]);
    const again = db.transaction((work) => put(work.query, { key: 'a', value: 'other' }));
    await assert.rejects(again);
  });
});
