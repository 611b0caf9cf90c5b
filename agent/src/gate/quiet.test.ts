import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import { createQuiet } from './quiet.ts';

const ONE = { pid: 1, start: '1' };
const stays = async () => false;

function world() {
  let now = 0;
  const quiet = createQuiet({
    monotonic: () => now,
    async sleep(ms) {
      await tick();
      now += ms;
    },
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  let began = false;
  return {
    quiet,
    began: () => began,
    now: () => now,
    end: resolve,
    restart: () =>
      quiet.during(async () => {
        began = true;
        await promise;
      }),
  };
}

const turns = async () => {
  for (let n = 0; n < 10; n += 1) await tick();
};

describe('moments without a sudo', () => {
  it('what begins is waited for until it asks', async () => {
    const w = world();
    await w.quiet.begins(ONE, stays);
    const restart = w.restart();
    await turns();
    assert.equal(w.began(), false);
    w.quiet.asks(ONE);
    await turns();
    assert.equal(w.began(), true);
    w.end();
    await restart;
  });

  it('what has ended without asking is not', async () => {
    const w = world();
    let isGone = false;
    await w.quiet.begins(ONE, async () => isGone);
    void w.restart();
    await turns();
    assert.equal(w.began(), false);
    isGone = true;
    await turns();
    assert.equal(w.began(), true);
    w.end();
  });

  it('those that never ask are not kept for ever', async () => {
    const { quiet } = world();
    let looks = 0;
    const isGone = async () => {
      looks += 1;
      return true;
    };
    for (let pid = 1; pid <= 1025; pid += 1) await quiet.begins({ pid, start: '1' }, isGone);
    assert.equal(looks, 1025);
    await quiet.begins(ONE, isGone);
    assert.equal(looks, 1025, 'all of them were let go');
  });

  it('nor is, for ever, somebody at a prompt', async () => {
    const w = world();
    await w.quiet.begins(ONE, stays);
    void w.restart();
    while (!w.began()) await tick();
    assert.ok(w.now() >= 10_000);
    w.end();
  });

  it('who begins meanwhile waits until it is over, also when it fails', async () => {
    for (const fails of [false, true]) {
      const quiet = createQuiet({ monotonic: () => 0, sleep: () => new Promise(() => {}) });
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const restart = quiet.during(() => promise);
      let goesOn = false;
      const begins = quiet.begins(ONE, stays).then(() => {
        goesOn = true;
      });
      await turns();
      assert.equal(goesOn, false);
      if (fails) reject(new Error('no'));
      else resolve();
      await begins;
      await restart.catch(() => undefined);
      assert.equal(goesOn, true);
    }
  });

  it('but not for what takes longer than that', async () => {
    const w = world();
    const restart = w.restart();
    await w.quiet.begins(ONE, stays);
    assert.equal(w.now(), 3000);
    w.end();
    await restart;
  });
});
