import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPendingTotal } from './pending-total.ts';

test('the limit holds between two counts', async () => {
  let counted = 0;
  const total = createPendingTotal(5);
  const count = async () => {
    counted += 1;
    return 3;
  };
  assert.equal(await total.admits(count, 0), true);
  assert.equal(await total.admits(count, 1), true);
  assert.equal(counted, 1);
});

test('at the limit nobody is refused on an estimate, and nobody is let in beyond it', async () => {
  let waiting = 0;
  const total = createPendingTotal(3);
  const count = async () => waiting;
  for (let i = 0; i < 3; i++) {
    assert.equal(await total.admits(count, 0), true);
    waiting += 1;
  }
  assert.equal(await total.admits(count, 0), false);
  waiting = 2;
  assert.equal(await total.admits(count, 0), true, 'one was answered meanwhile');
  waiting = 3;
  assert.equal(await total.admits(count, 0), false);
});

test('a count is not used for longer than a second, whatever the clock does', async () => {
  let waiting = 0;
  const total = createPendingTotal(2);
  const count = async () => waiting;
  assert.equal(await total.admits(count, 10_000), true);
  waiting = 2;
  assert.equal(await total.admits(count, 11_000), false, 'another process created them');
  waiting = 0;
  assert.equal(await total.admits(count, 11_000), true);
  waiting = 2;
  assert.equal(await total.admits(count, 5000), false, 'the clock was set back');
});
