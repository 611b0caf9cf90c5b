import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { readerHealth, readerMetrics } from './reader-health.ts';
import type { ReaderStatus } from './readers.ts';

const well: ReaderStatus = {
  seq: 0,
  reader: 'well',
  behind: 3,
  behindMs: 900,
  holder: 'a',
  here: true,
  problem: null,
  paused: false,
  deliveredAt: null,
  failure: null,
  tellsItself: false,
};
const readers = (...all: ReaderStatus[]) => ({ status: async () => all });

test('a reader that fails or falls behind degrades the server, and is named; the reason stays in the log', async () => {
  const failing: ReaderStatus = { ...well, reader: 'failing', problem: 'connect ECONNREFUSED 10.0.0.7:514' };
  const late: ReaderStatus = { ...well, reader: 'late', behindMs: 60_001 };
  const health = async (...all: ReaderStatus[]) => readerHealth(readers(...all)).run();
  assert.equal(readerHealth(readers()).severity, 'degraded');
  assert.equal(await health(), null);
  assert.equal(await health(well), null);
  assert.equal(await health(well, late), 'behind: late');
  assert.equal(await health(well, { ...failing, tellsItself: true }), null, 'it is told elsewhere');
  assert.equal(await health(well, failing, { ...failing, reader: 'other' }, late), 'failing: failing, other');
});

test('how far each reader is, where it works and whether it fails is measured, with one look at all', async () => {
  let looks = 0;
  const registry = new Registry();
  const standby: ReaderStatus = { ...well, reader: 'standby', here: false, behind: 0, behindMs: 0, problem: 'full' };
  const metrics = readerMetrics({
    status: async () => {
      looks += 1;
      return [well, standby];
    },
  });
  for (const metric of metrics) registry.registerMetric(metric);
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('identree_'));
  assert.deepEqual(lines, [
    'identree_event_reader_lag_events{reader="well"} 3',
    'identree_event_reader_lag_events{reader="standby"} 0',
    'identree_event_reader_lag_seconds{reader="well"} 0.9',
    'identree_event_reader_lag_seconds{reader="standby"} 0',
    'identree_event_reader_active{reader="well"} 1',
    'identree_event_reader_active{reader="standby"} 0',
    'identree_event_reader_failing{reader="well"} 0',
    'identree_event_reader_failing{reader="standby"} 1',
  ]);
  assert.equal(looks, 1);
});
