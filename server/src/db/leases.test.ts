import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '../platform/clock.ts';
import type { Database } from './database.ts';
import { createLeases, createTurn, type Leases } from './leases.ts';
import { forEachDatabase } from './test-databases.ts';

const LIFE_MS = 15_000;

/** Whether a lease counts for what is written now. */
const counts = (db: Database, leases: Leases, lease: { name: string; fence: number } | null) =>
  db.transaction(async (work) => lease !== null && (await leases.stillHas(work, lease)));

forEachDatabase('a lease', (open, driver) => {
  test('is renewed under the same fence, and is another process’s when it was not', async (t) => {
    const db = await open(t);
    const clock = manualClock();
    const [a, b] = ['a', 'b'].map((holder) => createLeases({ db, clock, holder, lifeMs: LIFE_MS })) as [Leases, Leases];
    const before = await b.acquire('work');
    await b.release(before!);
    const first = (await a.acquire('work'))!;
    for (let turn = 0; turn < 10; turn += 1) {
      clock.advance(LIFE_MS - 1);
      assert.deepEqual(await a.acquire('work'), first);
      assert.equal(await b.acquire('work'), null);
    }
    clock.advance(LIFE_MS);
    assert.equal(await a.holderOf('work'), null);
    const second = (await b.acquire('work'))!;
    assert.equal(await a.holderOf('work'), 'b');
    assert.ok(second.fence > first.fence);
    assert.deepEqual([await counts(db, a, first), await counts(db, b, second)], [false, true]);
    assert.equal(await a.acquire('work'), null);
    await b.release(second);
    const third = (await a.acquire('work'))!;
    assert.ok(third.fence > second.fence);
    assert.deepEqual([await counts(db, a, first), await counts(db, a, third)], [false, true]);
  });

  test('that ran out while nobody wanted it is still the same turn', async (t) => {
    const db = await open(t);
    const clock = manualClock();
    const a = createLeases({ db, clock, holder: 'a', lifeMs: LIFE_MS });
    const lease = await a.acquire('work');
    clock.advance(10 * LIFE_MS);
    assert.equal(await counts(db, a, lease), true);
    assert.deepEqual(await a.acquire('work'), lease);
  });

  test('that was given by a clock which was ahead is another process’s once nobody renews it', async (t) => {
    const db = await open(t);
    const [clock, ahead] = [manualClock(), manualClock()];
    ahead.advance(86_400_000);
    let steady = 0;
    const given = { db, lifeMs: LIFE_MS, steady: () => steady };
    const a = createLeases({ ...given, clock: ahead, holder: 'a' });
    const b = createLeases({ ...given, clock, holder: 'b' });
    await b.release((await b.acquire('work'))!);
    const first = (await a.acquire('work'))!;
    for (let turn = 0; turn < 10; turn += 1) {
      assert.equal(await b.acquire('work'), null, 'it is renewed');
      for (const one of [clock, ahead]) one.advance(LIFE_MS / 2);
      steady += LIFE_MS / 2;
      assert.deepEqual(await a.acquire('work'), first);
    }
    assert.equal(await b.acquire('work'), null);
    steady += 120_000 - 1;
    assert.equal(await b.acquire('work'), null);
    steady += 1;
    const second = (await b.acquire('work'))!;
    assert.ok(second.fence > first.fence);
    assert.deepEqual([await counts(db, a, first), await counts(db, b, second)], [false, true]);
  });

  test('is renewed for as long as it lasts also once the clock of its process was put back', async (t) => {
    const db = await open(t);
    const clock = manualClock();
    const a = createLeases({ db, clock, holder: 'a', lifeMs: LIFE_MS });
    const b = createLeases({ db, clock, holder: 'b', lifeMs: LIFE_MS });
    await b.release((await b.acquire('work'))!);
    const first = (await a.acquire('work'))!;
    clock.advance(-3_600_000);
    assert.deepEqual(await a.acquire('work'), first);
    clock.advance(LIFE_MS);
    assert.ok((await b.acquire('work'))!.fence > first.fence, 'nobody waits for an hour');
  });

  test('of many who ask at once is one process’s', async (t) => {
    const db = await open(t);
    const clock = manualClock();
    const all = Array.from({ length: 8 }, (_, index) =>
      createLeases({ db, clock, holder: `p${index}`, lifeMs: LIFE_MS }),
    );
    const given = await Promise.all(all.map((leases) => leases.acquire('work')));
    const valid = await Promise.all(all.map((leases, index) => counts(db, leases, given[index]!)));
    assert.equal(valid.filter(Boolean).length, 1);
    const fences = given.flatMap((lease) => lease?.fence ?? []);
    assert.equal(new Set(fences).size, fences.length);
  });

  if (driver === 'sqlite') {
    test('is the one’s that started last, and comes back when that one has ended', async (t) => {
      const db = await open(t);
      const clock = manualClock();
      const server = createLeases({ db, clock, holder: 'server', lifeMs: LIFE_MS });
      const first = (await server.acquire('work'))!;
      for (const end of ['told to stop', 'killed']) {
        const mistake = createLeases({ db, clock, holder: end, lifeMs: LIFE_MS });
        const taken = (await mistake.acquire('work'))!;
        assert.deepEqual([await counts(db, server, first), await counts(db, mistake, taken)], [false, true]);
        assert.equal(await server.acquire('work'), null);
        if (end === 'killed') clock.advance(LIFE_MS);
        else await mistake.release(taken);
        const back = (await server.acquire('work'))!;
        assert.ok(back.fence > taken.fence, end);
        assert.equal(await mistake.acquire('work'), null, 'who has had it does not take it a second time');
      }
    });
  }
});

/** Leases that answer as a test says. */
function answering(acquire: Leases['acquire'], lifeMs = 600_000): Leases {
  return {
    acquire,
    stillHas: async () => true,
    holderOf: async () => null,
    release: async () => {},
    holder: 'a',
    renewEveryMs: 20,
    lifeMs,
  };
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('whoever cannot ask whether it is still their turn has none', async () => {
  let away = false;
  const turn = createTurn(
    answering(async (name) => {
      if (away) throw new Error('no database');
      return { name, fence: 1 };
    }),
    'work',
  );
  assert.equal((await turn.has())?.fence, 1);
  away = true;
  await pause(25);
  await assert.rejects(turn.has(), /no database/);
  await assert.rejects(turn.has(), /no database/, 'what was true before is not said again');
  away = false;
  assert.equal((await turn.has())?.fence, 1);
});

test('who asks while the question is under way waits for its answer', async () => {
  let asked = 0;
  let fence: number | null = 1;
  const turn = createTurn(
    answering(async (name) => {
      asked += 1;
      await pause(5);
      return fence === null ? null : { name, fence };
    }),
    'work',
  );
  assert.deepEqual(await Promise.all([turn.has(), turn.has()]), [
    { name: 'work', fence: 1 },
    { name: 'work', fence: 1 },
  ]);
  assert.equal(asked, 1);
  // A process that was frozen, and whose turn is over: none of its jobs may begin.
  fence = null;
  await pause(25);
  assert.deepEqual(await Promise.all([turn.has(), turn.has(), turn.has()]), [null, null, null]);
  assert.equal(asked, 2);
});

test('an answer that was read too late gives nobody a turn', async () => {
  const lifeMs = 60;
  const standingStill: Leases['acquire'] = async (name) => {
    const askedAt = performance.now();
    while (performance.now() - askedAt < lifeMs);
    return { name, fence: 1 };
  };
  const turn = createTurn(answering(standingStill, lifeMs), 'work');
  assert.equal(await turn.has(), null);
  assert.equal(turn.isSure(), false);
});
