import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startJobs } from './jobs.ts';
import type { Job } from './module.ts';

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}
const quiet = { error() {} };
const always = async () => true;

test('a job never overlaps with itself, and stopping waits for the turn that is under way', async () => {
  let running = 0;
  let most = 0;
  let turns = 0;
  let end = () => {};
  const job: Job = {
    name: 'slow',
    everyMs: 1,
    async run() {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => {
        end = resolve;
      });
      running -= 1;
      turns += 1;
    },
  };
  const jobs = startJobs([job], { mayRun: always, log: quiet });
  await until(() => running === 1);
  end();
  await until(() => turns === 1 && running === 1);
  let stopped = false;
  const stopping = jobs.stop().then(() => {
    stopped = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(stopped, false);
  end();
  await stopping;
  assert.deepEqual([most, turns, running], [1, 2, 0]);
});

test('a job that fails is logged and comes again, and one that is not this process’s turn does nothing', async () => {
  const logged: unknown[] = [];
  let tried = 0;
  let foreign = 0;
  const failing: Job = { name: 'failing', everyMs: 1, run: () => Promise.reject(new Error(`try ${++tried}`)) };
  const other: Job = { name: 'other', everyMs: 1, run: async () => ++foreign };
  const jobs = startJobs([failing, other], {
    mayRun: async ({ name }) => name === 'failing',
    log: { error: (line: unknown) => void logged.push(line) },
  });
  await until(() => tried >= 3);
  await jobs.stop();
  assert.equal(foreign, 0);
  assert.ok(logged.length >= 3);
});
