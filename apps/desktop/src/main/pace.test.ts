import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createPace } from './pace.ts';

/** A pace of once in 300 ms, 40 ms apart for three times, on a clock that stands; and when it was done. */
function setUp(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const done: number[] = [];
  let now = 1000;
  const pace = createPace(
    { everyMs: 300, apartMs: 40, burst: 3 },
    () => done.push(now - 1000),
    () => now,
  );
  const pass = (ms: number) => {
    for (let i = 0; i < ms; i++) {
      now += 1;
      t.mock.timers.tick(1);
    }
  };
  return { pace, done, pass };
}

test('the first of a quiet time is done at once', (t) => {
  const { pace, done, pass } = setUp(t);
  pace.ask();
  assert.deepEqual(done, [0]);
  pass(2000);
  assert.deepEqual(done, [0], 'and no more than it was asked for');
  pace.ask();
  assert.deepEqual(done, [0, 2000]);
});

test('what comes soon after one that was alone is done at once too', (t) => {
  const { pace, done, pass } = setUp(t);
  pace.ask();
  pass(45);
  pace.ask();
  pass(60);
  pace.ask();
  assert.deepEqual(done, [0, 45, 105]);
});

test('a burst is done for as one, at its start and after its end', (t) => {
  const { pace, done, pass } = setUp(t);
  for (let i = 0; i < 100; i++) pace.ask();
  assert.deepEqual(done, [0]);
  pass(10);
  pace.ask();
  pass(1000);
  assert.deepEqual(done, [0, 40]);
});

test('what goes on is done as often as it may be in the long run, and once after its end', (t) => {
  const { pace, done, pass } = setUp(t);
  for (let i = 0; i < 2990; i++) {
    pace.ask();
    pass(1);
  }
  assert.deepEqual(done.slice(0, 6), [0, 40, 80, 300, 600, 900]);
  assert.equal(done.length, 12);
  pass(1000);
  assert.deepEqual(done.slice(12), [3000]);
});

test('stopped, nothing is done any more', (t) => {
  const { pace, done, pass } = setUp(t);
  pace.ask();
  pace.ask();
  pace.stop();
  pass(1000);
  assert.deepEqual(done, [0]);
});
