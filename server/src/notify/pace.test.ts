import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '../platform/clock.ts';
import { backoffMs } from './backoff.ts';
import { createLane } from './lane.ts';

test('[N-18] each pause is twice as long as the one before, with chance in it, up to a quarter of an hour', () => {
  const least = { int: () => 0 };
  const most = { int: (limit: number) => limit - 1 };
  const seconds = (attempts: number, random: typeof most) => backoffMs(attempts, null, random) / 1000;
  assert.deepEqual(
    [1, 2, 3, 4, 9].map((attempts) => [seconds(attempts, least), seconds(attempts, most)]),
    [
      [1, 2],
      [2, 4],
      [4, 8],
      [8, 16],
      [256, 512],
    ],
  );
  for (const attempts of [10, 11, 1000]) assert.equal(seconds(attempts, most), 900);
});

test('[N-18] what a receiver asks for is waited for, but for an hour at most', () => {
  const random = { int: () => 0 };
  assert.equal(backoffMs(1, 30_000, random), 30_000);
  assert.equal(backoffMs(9, 1000, random), 256_000);
  assert.equal(backoffMs(1, 86_400_000, random), 3_600_000);
  assert.equal(backoffMs(1, -5, random), 1000);
});

test('[N-18] a channel has so many under way, and begins so many a minute', () => {
  const clock = manualClock();
  const lane = createLane(clock);
  const limits = { perMinute: 60, atOnce: 4 };
  let made = 0;
  const begin = (count: number) => {
    for (let i = 0; i < count; i += 1) lane.begin(String(made++));
  };
  const end = (count: number) => {
    for (let i = 0; i < count; i += 1) lane.end(String(made - count + i));
  };
  assert.deepEqual(lane.room(limits), { count: 4, waitMs: 0 });
  begin(4);
  assert.deepEqual(lane.room(limits), { count: 0, waitMs: null });
  assert.equal(lane.underWay().size, 4);
  end(4);
  begin(4);
  end(4);
  // Ten seconds' worth at once after a pause, and then one a second.
  assert.deepEqual(lane.room(limits), { count: 2, waitMs: 0 });
  begin(2);
  end(2);
  assert.deepEqual(lane.room(limits), { count: 0, waitMs: 1000 });
  clock.advance(400);
  assert.deepEqual(lane.room(limits), { count: 0, waitMs: 600 });
  clock.advance(600);
  assert.equal(lane.room(limits).count, 1);
  // A clock that is put back gives nothing, and takes nothing.
  clock.advance(-3_600_000);
  assert.equal(lane.room(limits).count, 1);
  clock.advance(3_600_000);
  assert.equal(lane.room(limits).count, 4);
});

test('[N-18] a channel whose receiver wants nothing for a while is left alone for so long', () => {
  const clock = manualClock();
  const lane = createLane(clock);
  const limits = { perMinute: 60, atOnce: 4 };
  lane.hold(30_000);
  lane.hold(10_000);
  assert.deepEqual(lane.room(limits), { count: 0, waitMs: 30_000 });
  clock.advance(30_000);
  assert.equal(lane.room(limits).count, 4);
  // A clock that is put back by a day does not leave it alone for a day.
  lane.hold(30_000);
  clock.advance(-86_400_000);
  assert.deepEqual(lane.room(limits), { count: 0, waitMs: 30_000 });
  clock.advance(30_000);
  assert.equal(lane.room(limits).count, 4);
});
