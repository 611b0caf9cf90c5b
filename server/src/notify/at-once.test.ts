import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestSqlite } from '../db/test-databases.ts';
import { notifyCluster } from './testing/notify-cluster.ts';

/** Lets everything go on that waits for no timer. */
const aTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('[N-18] what happens is told without anybody having to look for it: no timer runs between event and receiver', async (t) => {
  const c = await notifyCluster(t, openTestSqlite);
  await c.channel('ops');
  await c.start('a');
  await c.ask(1);
  await c.until(() => c.count('ops', 'sent') === 1);
  // Whoever would look every so often never does from here on.
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const asking = c.ask(1);
  // Signing is done by other threads, which may wait for a processor.
  const end = performance.now() + 30_000;
  while (c.channels.told.length < 2 && performance.now() < end) await aTurn();
  assert.equal(c.channels.told.length, 2);
  t.mock.timers.reset();
  await asking;
});
