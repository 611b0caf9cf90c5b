import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Registry } from 'prom-client';
import type { StoredChannel } from './channel-store.ts';
import { notifyMetrics } from './measured.ts';

/** A page of metrics with these alone. */
function pageOf(channels: () => Promise<readonly StoredChannel[]>): () => Promise<string> {
  const registry = new Registry();
  for (const metric of notifyMetrics(channels).metrics) registry.registerMetric(metric);
  return () => registry.metrics();
}

const COUNTED = /identree_notifications_total\{status="sent",channel="personal:ntfy"\} 0/;

test('a page of metrics is there while channels cannot be read', async () => {
  const read = pageOf(async () => {
    throw new Error('the database is away');
  });
  assert.match(await read(), COUNTED);
});

test('[M-03] what was measured before anybody asked stays, once the channel is found to be there', async () => {
  const channel = { name: 'ops', kind: 'ntfy', owner: null } as StoredChannel;
  const registry = new Registry();
  const { metrics, took } = notifyMetrics(async () => [channel, { ...channel, name: 'quiet' }]);
  for (const metric of metrics) registry.registerMetric(metric);
  took(channel, 0.2);
  const page = await registry.metrics();
  assert.match(page, /^identree_notification_delivery_duration_seconds_count\{channel="ops"\} 1$/m);
  assert.match(page, /^identree_notification_delivery_duration_seconds_count\{channel="quiet"\} 0$/m);
});

test('a page of metrics waits for no database that hangs, and strangers who read it in a loop ask it once', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  let asked = 0;
  const read = pageOf(() => {
    asked += 1;
    return new Promise(() => {});
  });
  const pages = Promise.all(Array.from({ length: 20 }, read));
  await new Promise(setImmediate);
  assert.equal(asked, 1);
  mock.timers.tick(3000);
  for (const page of await pages) assert.match(page, COUNTED);
});
