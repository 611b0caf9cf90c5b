import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kysely } from '../db/query.ts';
import { forEachDatabase } from '../db/test-databases.ts';
import { manualClock } from '../platform/clock.ts';
import { createBindProofs } from './bind-proofs.ts';

const DAY = 86_400_000;

forEachDatabase('proofs of bind names', (open) => {
  test('outlive the process, are written once a day, and are forgotten after a month', async (t) => {
    const db = await open(t);
    const clock = manualClock();
    const errors: unknown[] = [];
    const make = async (key = Buffer.alloc(32, 1)) => {
      const proofs = createBindProofs({ db, clock, key, onError: (error) => errors.push(error) });
      await proofs.load();
      return proofs;
    };
    const rows = () => kysely(db.query).selectFrom('bind_proofs').selectAll().execute();
    const written = async (count: number) => {
      while ((await rows()).length !== count) await new Promise((resolve) => setTimeout(resolve, 2));
    };
    const first = await make();
    assert.deepEqual(first.known(), []);
    first.keep('one');
    first.keep('one');
    first.keep('two');
    await written(2);
    assert.deepEqual((await make()).known().toSorted(), ['one', 'two']);
    assert.deepEqual(first.key, (await make()).key);
    assert.notDeepEqual(first.key, (await make(Buffer.alloc(32, 2))).key);
    assert.notDeepEqual(first.key, Buffer.alloc(32, 1), 'not the key of anything else');

    clock.advance(20 * DAY);
    const later = await make();
    later.keep('two');
    while (new Set((await rows()).map(({ proved_on }) => proved_on)).size < 2)
      await new Promise((resolve) => setTimeout(resolve, 2));
    clock.advance(11 * DAY);
    assert.deepEqual((await make()).known(), ['two']);
    assert.equal((await rows()).length, 1);
    assert.deepEqual(errors, []);
  });
});
