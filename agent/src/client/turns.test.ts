import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import { systemRandom } from '../platform/random.ts';
import { createTurns, type Mark } from './turns.ts';

/** Requests that end as the test says, and the marks that they were sent with. */
function world() {
  let number = 0;
  let queue: Promise<unknown> = Promise.resolve();
  const turns = createTurns({
    counter: {
      next(send) {
        const turn = queue.then(() => send(++number));
        queue = turn.catch(() => undefined);
        return turn;
      },
    },
    random: systemRandom,
  });
  const sent: { name: string; mark: Mark; isAgain: boolean }[] = [];
  function ask(name: string) {
    const settled = Promise.withResolvers<'taken' | 'over'>();
    let known = Promise.withResolvers<boolean>();
    turns.take(
      (mark, isAgain) => {
        sent.push({ name, mark, isAgain });
        known = Promise.withResolvers<boolean>();
        return { settled: settled.promise, known: known.promise };
      },
      () => undefined,
    );
    return {
      answered: () => known.resolve(false),
      known: () => known.resolve(true),
      end: (fate: 'taken' | 'over') => settled.resolve(fate),
    };
  }
  return {
    ask,
    async sent() {
      for (let n = 0; n < 10; n += 1) await tick();
      return sent.map(({ name, mark }) => `${name} ${mark.counter}`).join(', ');
    },
    nonces: () => sent.map(({ mark }) => mark.nonce),
    again: () => sent.map(({ isAgain }) => isAgain),
  };
}

describe('whose number it is', () => {
  it('one after the other, each with its own', async () => {
    const w = world();
    const one = w.ask('one');
    w.ask('two');
    assert.equal(await w.sent(), 'one 1', 'nobody overtakes what is on its way');
    one.answered();
    one.end('taken');
    assert.equal(await w.sent(), 'one 1, two 2');
    assert.equal(new Set(w.nonces()).size, 2);
  });

  it('who was refused while another server may still have it leaves number and nonce to who comes next', async () => {
    const w = world();
    const one = w.ask('one');
    const two = w.ask('two');
    await w.sent();
    one.answered();
    assert.equal(await w.sent(), 'one 1, two 1');
    assert.equal(new Set(w.nonces()).size, 1, 'what arrives late is a repetition, and no clone');
    assert.deepEqual(w.again(), [false, true]);
    w.ask('three');
    two.answered();
    two.end('taken');
    assert.equal(await w.sent(), 'one 1, two 1, three 2');
  });

  it('also to somebody who comes later', async () => {
    const w = world();
    const one = w.ask('one');
    await w.sent();
    one.answered();
    await w.sent();
    w.ask('two');
    assert.equal(await w.sent(), 'one 1, two 1');
  });

  it('was it taken after all, the next one is sent once more with a number of its own', async () => {
    const w = world();
    const one = w.ask('one');
    const two = w.ask('two');
    await w.sent();
    one.answered();
    await w.sent();
    two.known();
    two.end('over');
    assert.equal(await w.sent(), 'one 1, two 1, two 2');
    assert.equal(new Set(w.nonces()).size, 2);
  });

  it('is over with what it was sent with', async () => {
    const w = world();
    const one = w.ask('one');
    await w.sent();
    one.answered();
    one.end('over');
    await w.sent();
    w.ask('two');
    assert.equal(await w.sent(), 'one 1, two 2');
  });
});
