import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { forEachDatabase } from '../db/test-databases.ts';
import { systemClock } from '../platform/clock.ts';
import { createEventLog, type NewEvent } from './log.ts';
import { checkChain } from './store.ts';

const said = (username: string): NewEvent => ({ event: 'user_logged_in', username });

forEachDatabase('the head of the log', (open) => {
  test('is held by who locked it until they have appended, however many wait for it in the same process', async (t) => {
    const db = await open(t);
    const log = await createEventLog({ db, clock: systemClock, onError: () => {} });
    t.after(() => log.close());
    const locked = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const first = db.transaction(async (work) => {
      const { seq } = await log.lockHead(work);
      locked.resolve();
      await goOn.promise;
      return [seq, (await log.append(work, said('first'))).seq];
    });
    await locked.promise;
    const others = Array.from({ length: 4 }, () => db.transaction((work) => log.append(work, said('other'))));
    // Long enough for them to come as far as they come.
    await sleep(200);
    goOn.resolve();
    assert.deepEqual(await first, [0, 1]);
    await Promise.all(others);
    assert.deepEqual(
      (await log.read(0, 10)).map(({ username }) => username),
      ['first', 'other', 'other', 'other', 'other'],
    );
    assert.equal(await checkChain(db.query), null);
  });
});
