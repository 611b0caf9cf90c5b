import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type Worker } from 'node:worker_threads';
import { systemClock } from '../../platform/clock.ts';
import { testConfig } from '../../testing/test-config.ts';
import { createDirectoryThread } from './thread.ts';

/** Finds a change when it is told to fetch. */
const PROGRAM = `
import { parentPort } from 'node:worker_threads';
parentPort.on('message', ({ kind, id, args }) => {
  if (kind === 'close') parentPort.close();
  else parentPort.postMessage({ kind: 'answer', id, ok: true, value: { ok: true, served: args[0].fetch ? {} : null } });
});`;

const alive = new Set<Worker>();
let started = 0;
const note = (worker: Worker): void => {
  started++;
  alive.add(worker);
  worker.once('exit', () => alive.delete(worker));
};
process.on('worker', note);
after(() => process.off('worker', note));

const make = (idleMs: number) =>
  createDirectoryThread({
    config: testConfig('/nowhere'),
    storage: new Uint8Array(32),
    clock: systemClock,
    program: new URL(`data:text/javascript,${encodeURIComponent(PROGRAM)}`),
    snapshotPort: () => new MessageChannel().port1,
    onLeft: async () => {},
    onWrote: () => {},
    onError: (error) => assert.fail(String(error)),
    idleMs,
  });
const DAY_MS = 86_400_000;
const goneWithinAMinute = async (): Promise<void> => {
  for (const end = Date.now() + 60_000; alive.size > 0; await sleep(10))
    assert.ok(Date.now() < end, 'it is still there');
};

test('the thread stays after a change, so that whatever comes next finds it', async () => {
  const thread = make(DAY_MS);
  started = 0;
  await thread.run({ fetch: true, served: null });
  await thread.run({ fetch: false, served: null });
  await sleep(200);
  await thread.run({ fetch: true, served: null });
  assert.deepEqual([started, alive.size], [1, 1]);
  await thread.stop();
  await goneWithinAMinute();
});

test('it goes when nothing has come for a while', async () => {
  const thread = make(500);
  await thread.run({ fetch: true, served: null });
  await goneWithinAMinute();
  await thread.stop();
});

test('it goes at once after a round that found no change', async () => {
  const thread = make(DAY_MS);
  started = 0;
  await thread.run({ fetch: false, served: null });
  await goneWithinAMinute();
  await thread.run({ fetch: false, served: null });
  assert.equal(started, 2);
  await goneWithinAMinute();
  await thread.stop();
});
