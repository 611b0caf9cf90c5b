import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepWaiting } from './waiting.ts';

interface Entry {
  id: string;
  createdAt: number;
}

/** A server with requests, and a console that keeps what it was told. */
function world() {
  const waiting: Entry[] = [];
  const asked: string[] = [];
  let kept: readonly Entry[] | null = [];
  let onItsWay: (() => void) | null = null;
  const list = {
    read: () => kept,
    write(entries: readonly Entry[]) {
      kept = entries;
    },
    isAsked: () => onItsWay !== null,
    askAll() {
      asked.push('all');
      kept = [...waiting];
    },
    async askOne(code: string) {
      asked.push(code);
      return waiting.find(({ id }) => `code of ${id}` === code) ?? null;
    },
  };
  const onEvent = keepWaiting(list, 1000);
  const tell = (event: string, id: string) => onEvent({ event, challengeId: id, code: `code of ${id}` });
  let at = 0;
  return {
    asked,
    kept: () => kept?.map(({ id }) => id),
    comes(id: string) {
      at += 1;
      waiting.push({ id, createdAt: at });
      tell('challenge_created', id);
    },
    goes(id: string, event = 'challenge_approved') {
      waiting.splice(
        waiting.findIndex((entry) => entry.id === id),
        1,
      );
      tell(event, id);
    },
    tell,
    /** An answer that was written now and comes when it is let through. */
    askSlowly() {
      const answer = [...waiting];
      onItsWay = () => {
        kept = answer;
        onItsWay = null;
      };
      return () => onItsWay?.();
    },
  };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('what has left is taken out without a question, however it ended', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const w = world();
  for (const id of ['a', 'b', 'c', 'd', 'e']) w.comes(id);
  t.mock.timers.tick(1000);
  await settled();
  assert.deepEqual(w.kept(), ['a', 'b', 'c', 'd', 'e']);
  w.asked.length = 0;
  w.goes('a', 'challenge_approved');
  w.goes('c', 'challenge_rejected');
  w.goes('d', 'challenge_expired');
  w.goes('e', 'challenge_cancelled');
  assert.deepEqual(w.kept(), ['b']);
  t.mock.timers.tick(5000);
  assert.deepEqual(w.asked, []);
});

test('one that comes is asked for by itself, and fifty are one question a second', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const w = world();
  w.comes('first');
  await settled();
  assert.deepEqual([w.asked, w.kept()], [['code of first'], ['first']]);
  for (let index = 0; index < 50; index += 1) w.comes(`request ${index}`);
  await settled();
  assert.equal(w.asked.length, 1);
  t.mock.timers.tick(1000);
  await settled();
  assert.deepEqual(w.asked, ['code of first', 'all']);
  assert.equal(w.kept()?.length, 51);
  t.mock.timers.tick(5000);
  assert.equal(w.asked.length, 2);
});

test('what never waited, and what is told of one that does not wait any more, is no reason to ask', () => {
  const w = world();
  w.tell('auto_approved', 'x');
  w.tell('challenge_outcome', 'x');
  w.tell('challenge_run', 'x');
  assert.deepEqual(w.asked, []);
  // Nor is it known what one means that a newer server has.
  w.tell('challenge_escalated', 'x');
  assert.deepEqual(w.asked, ['all']);
});

test('one that left while an answer was on its way does not stay because of that answer', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const w = world();
  w.comes('a');
  await settled();
  const answer = w.askSlowly();
  w.goes('a');
  answer();
  t.mock.timers.tick(1000);
  assert.deepEqual([w.asked, w.kept()], [['code of a', 'all'], []]);
});

test('one that left before it could be asked for is not put in', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const w = world();
  w.comes('a');
  w.goes('a');
  await settled();
  t.mock.timers.tick(1000);
  await settled();
  assert.deepEqual(w.kept(), []);
});
