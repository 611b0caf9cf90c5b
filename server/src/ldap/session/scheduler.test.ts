import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createScheduler, createShare, type Runnable, type Share } from './scheduler.ts';

/** A clock that work moves, and an event loop that comes round when told. */
function setUp() {
  let now = 1000;
  const deferred: (() => void)[] = [];
  const scheduler = createScheduler(
    () => now,
    (work) => deferred.push(work),
  );
  const order: string[] = [];
  const worker = (name: string, peer: Share, slices: number, milliseconds: number): Runnable => ({
    peer,
    run() {
      order.push(name);
      now += milliseconds;
      scheduler.spend(peer, milliseconds);
      return --slices > 0;
    },
  });
  return {
    scheduler,
    order,
    worker,
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
    /** @returns how often the loop came round. */
    settle: (): number => {
      let turns = 0;
      while (deferred.length > 0) {
        deferred.shift()!();
        turns++;
      }
      return turns;
    },
  };
}

describe('taking turns', () => {
  test('who has had least goes first, whoever came first', () => {
    const { scheduler, order, worker, settle } = setUp();
    const [greedy, modest] = [createShare(), createShare()];
    scheduler.spend(greedy, 50);
    for (let i = 0; i < 5; i++) scheduler.add(worker('greedy', greedy, 3, 1));
    scheduler.add(worker('modest', modest, 1, 0.1));
    settle();
    assert.equal(order[0], 'modest');
    assert.equal(order.length, 16);
  });

  test('connections of one address take turns among themselves', () => {
    const { scheduler, order, worker, settle } = setUp();
    const peer = createShare();
    for (const name of ['a', 'b', 'c']) scheduler.add(worker(name, peer, 2, 1));
    settle();
    assert.deepEqual(order, ['a', 'b', 'c', 'a', 'b', 'c']);
  });

  test('the event loop comes round after a millisecond of work, and after many short slices', () => {
    const long = setUp();
    for (let i = 0; i < 10; i++) long.scheduler.add(long.worker('x', createShare(), 1, 2));
    assert.ok(long.settle() >= 10);
    const short = setUp();
    for (let i = 0; i < 128; i++) short.scheduler.add(short.worker('x', createShare(), 1, 0));
    assert.equal(short.settle(), 2);
  });

  test('what an address has had is forgiven with time', () => {
    const { scheduler, order, worker, settle, pass } = setUp();
    const [before, now] = [createShare(), createShare()];
    scheduler.spend(before, 100);
    pass(5000);
    scheduler.spend(now, 10);
    scheduler.add(worker('now', now, 1, 1));
    scheduler.add(worker('before', before, 1, 1));
    settle();
    assert.deepEqual(order, ['before', 'now']);
  });
});

describe('being served right away', () => {
  test('everybody is while the loop has little to do, then those who have had little, then nobody', () => {
    const { scheduler, settle } = setUp();
    const [greedy, modest] = [createShare(), createShare()];
    const may = (): boolean[] => [scheduler.mayRunNow(greedy), scheduler.mayRunNow(modest)];
    scheduler.spend(greedy, 1.5);
    assert.deepEqual(may(), [true, true]);
    scheduler.spend(greedy, 10);
    assert.deepEqual(may(), [false, true]);
    scheduler.spend(greedy, 10);
    assert.deepEqual(may(), [false, false]);
    settle();
    assert.deepEqual(may(), [true, true]);
  });
});
