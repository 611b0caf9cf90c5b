import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atMostEvery } from './at-most.ts';

test('the first is done at once, and what follows together, the last of it included', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const done: string[] = [];
  const act = atMostEvery<string>(1000, (key) => void done.push(key));
  act('requests');
  assert.deepEqual(done, ['requests']);
  for (let event = 0; event < 20; event += 1) act('requests');
  act('hosts');
  assert.deepEqual(done, ['requests', 'hosts']);
  t.mock.timers.tick(1000);
  assert.deepEqual(done, ['requests', 'hosts', 'requests']);
  t.mock.timers.tick(5000);
  assert.equal(done.length, 3);
  act('requests');
  assert.equal(done.length, 4);
});
