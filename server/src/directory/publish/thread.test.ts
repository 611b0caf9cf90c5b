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

test('the thread stays for a while after a change, and not after a round that found none', async () => {
  const thread = createDirectoryThread({
    config: testConfig('/nowhere'),
    storage: new Uint8Array(32),
    clock: systemClock,
    program: new URL(`data:text/javascript,${encodeURIComponent(PROGRAM)}`),
    snapshotPort: () => new MessageChannel().port1,
    onLeft: async () => {},
    onWrote: () => {},
    onError: (error) => assert.fail(String(error)),
    idleMs: 500,
  });
  await thread.run({ fetch: true, served: null });
  await thread.run({ fetch: false, served: null });
  await sleep(200);
  assert.deepEqual([started, alive.size], [1, 1], 'whatever comes next finds it');
  await sleep(600);
  assert.equal(alive.size, 0);
  await thread.run({ fetch: false, served: null });
  await sleep(200);
  assert.deepEqual([started, alive.size], [2, 0]);
  await thread.stop();
});
