import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { sideBySide } from './side-by-side.ts';

const thing = (name: string, alone = false) => ({ name, alone });

/** Things that end when they are told to, and which of them are under way. */
function createRun() {
  const running = new Map<string, () => void>();
  return {
    now: async () => {
      await turn();
      return [...running.keys()];
    },
    run: async ({ name }: { name: string }) => {
      await new Promise<void>((resolve) => running.set(name, resolve));
      return name;
    },
    end(name: string) {
      running.get(name)?.();
      running.delete(name);
    },
  };
}

test('as many run as may, the next one begins when one has ended, and results keep their order', async () => {
  const { run, now, end } = createRun();
  const all = sideBySide([thing('a'), thing('b'), thing('c'), thing('d')], 2, run);
  assert.deepEqual(await now(), ['a', 'b']);
  end('b');
  assert.deepEqual(await now(), ['a', 'c']);
  end('a');
  assert.deepEqual(await now(), ['c', 'd']);
  end('d');
  end('c');
  assert.deepEqual(await all, ['a', 'b', 'c', 'd']);
});

test('what is alone waits for what came before it, and what comes after it waits', async () => {
  const { run, now, end } = createRun();
  const all = sideBySide([thing('a'), thing('b'), thing('alone', true), thing('c'), thing('d')], 2, run);
  assert.deepEqual(await now(), ['a', 'b']);
  end('a');
  assert.deepEqual(await now(), ['b']);
  end('b');
  assert.deepEqual(await now(), ['alone']);
  end('alone');
  assert.deepEqual(await now(), ['c', 'd']);
  end('c');
  end('d');
  assert.deepEqual(await all, ['a', 'b', 'alone', 'c', 'd']);
});

test('one that throws is told', async () => {
  await assert.rejects(
    sideBySide([thing('a'), thing('b')], 2, ({ name }) => Promise.reject(new Error(name))),
    /^Error: a$/,
  );
});
