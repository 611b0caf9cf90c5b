import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { readGauge, shortly } from './gauges.ts';

test('all who ask within a second share one look, and a failure is forgotten at once', async () => {
  let now = 0;
  let looks = 0;
  let fails = false;
  const read = shortly(
    async () => {
      looks += 1;
      if (fails) throw new Error('away');
      return looks;
    },
    () => now,
  );
  assert.deepEqual(await Promise.all([read(), read(), read()]), [1, 1, 1]);
  now = 999;
  assert.equal(await read(), 1);
  now = 1000;
  assert.equal(await read(), 2);
  now = 2000;
  fails = true;
  await assert.rejects(read());
  fails = false;
  assert.equal(await read(), 4);
});

test('what cannot be read, or not in time, is not on the page, and everything else is', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const registry = new Registry();
  let state: 'well' | 'away' | 'hanging' = 'well';
  let asked = () => {};
  const read = async <T>(value: T): Promise<T> => {
    if (state === 'away') throw new Error('away');
    if (state === 'hanging') {
      asked();
      await new Promise(() => {});
    }
    return value;
  };
  registry.registerMetric(readGauge({ name: 'one', help: 'One.', read: () => read(1) }));
  registry.registerMetric(
    readGauge({
      name: 'two',
      help: 'Two.',
      labelNames: ['of'],
      read: () => read([{ labels: { of: 'these' }, value: 2 }]),
    }),
  );
  registry.registerMetric(readGauge({ name: 'three', help: 'Three.', read: () => 3 }));
  const lines = async () => (await registry.metrics()).split('\n').filter((line) => line.startsWith('identree_'));
  const all = ['identree_one 1', 'identree_two{of="these"} 2', 'identree_three 3'];
  assert.deepEqual(await lines(), all);
  state = 'away';
  assert.deepEqual(await lines(), ['identree_three 3']);
  state = 'hanging';
  const hanging = new Promise<void>((resolve) => {
    let left = 2;
    asked = () => {
      left -= 1;
      if (left === 0) resolve();
    };
  });
  const page = lines();
  await hanging;
  t.mock.timers.tick(3000);
  assert.deepEqual(await page, ['identree_three 3']);
  state = 'well';
  assert.deepEqual(await lines(), all);
});
