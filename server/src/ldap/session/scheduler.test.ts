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
  const worker = (name: string, peer: Share, slices: number, milliseconds: number): Runnable => {
    const runnable = {
      peer,
      share: createShare(),
      run() {
        order.push(name);
        now += milliseconds;
        scheduler.spend(runnable, milliseconds);
        return --slices > 0;
      },
    };
    return runnable;
  };
  return {
    scheduler,
    order,
    worker,
    /** Time that an address has had. */
    had: (peer: Share, milliseconds: number) => scheduler.spend({ peer, share: createShare() }, milliseconds),
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
    const { scheduler, order, worker, settle, had } = setUp();
    const [greedy, modest] = [createShare(), createShare()];
    had(greedy, 50);
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

  test('of the connections of an address the one that has had least goes first', () => {
    const { scheduler, order, worker, settle } = setUp();
    const peer = createShare();
    const busy = worker('busy', peer, 4, 1);
    busy.run();
    scheduler.add(busy);
    scheduler.add(worker('idle', peer, 1, 1));
    settle();
    assert.deepEqual(order, ['busy', 'idle', 'busy', 'busy', 'busy']);
  });

  test('the event loop comes round after a little work, and after many short slices', () => {
    const long = setUp();
    for (let i = 0; i < 10; i++) long.scheduler.add(long.worker('x', createShare(), 1, 2));
    assert.ok(long.settle() >= 10);
    const short = setUp();
    for (let i = 0; i < 128; i++) short.scheduler.add(short.worker('x', createShare(), 1, 0));
    assert.equal(short.settle(), 2);
  });

  test('what an address has had is forgiven with time', () => {
    const { scheduler, order, worker, settle, pass, had } = setUp();
    const [before, now] = [createShare(), createShare()];
    had(before, 100);
    pass(5000);
    had(now, 10);
    scheduler.add(worker('now', now, 1, 1));
    scheduler.add(worker('before', before, 1, 1));
    settle();
    assert.deepEqual(order, ['before', 'now']);
  });
});

describe('being served right away', () => {
  test('everybody is while the loop has little to do, then those who have had little, then nobody', () => {
    const { scheduler, settle, had } = setUp();
    const [greedy, modest] = [createShare(), createShare()];
    const may = (): boolean[] => [scheduler.mayRunNow(greedy), scheduler.mayRunNow(modest)];
    had(greedy, 1.5);
    assert.deepEqual(may(), [true, true]);
    had(greedy, 10);
    assert.deepEqual(may(), [false, true]);
    had(greedy, 10);
    assert.deepEqual(may(), [false, false]);
    settle();
    assert.deepEqual(may(), [true, true]);
  });
});
