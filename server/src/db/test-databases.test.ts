import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kysely } from './query.ts';
import { forEachDatabase } from './test-databases.ts';

forEachDatabase('a fresh database', (open, driver) => {
  test('is migrated, empty and of the kind that was asked for', async (t) => {
    const db = await open(t);
    assert.equal(db.driver, driver);
    assert.deepEqual(await kysely(db.query).selectFrom('event_head').select('seq').execute(), [{ seq: 0 }]);
    assert.deepEqual(await kysely(db.query).selectFrom('people').selectAll().execute(), []);
  });

  test('shares nothing with another one', async (t) => {
    const [one, other] = [await open(t), await open(t)];
    await one.transaction((work) => kysely(work.query).insertInto('meta').values({ key: 'a', value: 'b' }).execute());
    assert.deepEqual(await kysely(other.query).selectFrom('meta').selectAll().execute(), []);
  });
});
