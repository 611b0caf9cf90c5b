import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { endsInTime, endText, longestMs } from './stopping.ts';

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
};

test('a server that does not come to its end says whom it cuts off', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const stopping = { waitsFor: () => ['GET /api/export', 'POST /trpc/:path'], unsent: 2 };
  const ending = endsInTime(new Promise(() => {}), stopping, 9000);
  t.mock.timers.tick(9000);
  const end = await ending;
  assert.equal(end.ended, false);
  assert.match(
    endText(end),
    /^stopped after [\d.]+ s: cut off GET \/api\/export, POST \/trpc\/:path; ended 2 connections on which no whole request came$/,
  );
});

test('one that does says for whom it waited, and nothing where it waited for nobody', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const { promise, resolve } = Promise.withResolvers<void>();
  const stopping = { waitsFor: () => ['GET /approve/:code'], unsent: 0 };
  const ending = endsInTime(promise, stopping, 9000);
  t.mock.timers.tick(600);
  stopping.waitsFor = () => [];
  t.mock.timers.tick(600);
  resolve();
  const end = await ending;
  assert.equal(end.ended, true);
  assert.match(endText(end), /^stopped after [\d.]+ s: waited for GET \/approve\/:code$/);
  const quick = await endsInTime(Promise.resolve(), { waitsFor: () => ['the database'], unsent: 0 }, 9000);
  assert.deepEqual([quick.ended, quick.waitedFor], [true, []]);
  await turns();
});

test('it is over within ten seconds of the signal, a long delay excepted', () => {
  assert.deepEqual([0, 3000, 5000, 10_000].map(longestMs), [9000, 9000, 9000, 14_000]);
});
