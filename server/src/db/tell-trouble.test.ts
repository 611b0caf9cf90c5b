import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTroubleTeller } from './tell-trouble.ts';
import { DatabaseTrouble, type TroubleKind } from './trouble.ts';

function tellerAt() {
  let at = 1000;
  const said: string[] = [];
  const teller = createTroubleTeller(
    {
      begins: ({ message }) => void said.push(message),
      ends: (kind, ms) => void said.push(`${kind} over after ${ms}`),
    },
    () => at,
  );
  return {
    said,
    teller,
    fails: (kind: TroubleKind, table = '') =>
      teller.trouble(new DatabaseTrouble(kind, new Error('said the driver'), table && `select from ${table}`)),
    pass(ms: number) {
      at += ms;
    },
  };
}

test('an outage is told once when it begins, with its cause, and once when it is over', () => {
  const { teller, said, fails, pass } = tellerAt();
  for (let failed = 0; failed < 1000; failed += 1) {
    fails('away');
    pass(21);
  }
  teller.answers();
  // What was under way fails late, and what is asked next goes well.
  fails('away');
  pass(100);
  fails('away');
  for (let written = 0; written < 10; written += 1) {
    pass(1000);
    teller.wrote();
  }
  assert.deepEqual(said, ['the database does not answer: said the driver', 'away over after 21000']);
  pass(60_000);
  fails('away');
  assert.equal(said.length, 3, 'the next one is one of its own');
});

test('where some go well and some fail, that is one outage until none fails', () => {
  const { teller, said, fails, pass } = tellerAt();
  for (let asked = 0; asked < 30; asked += 1) {
    fails('full');
    pass(500);
    teller.wrote();
    pass(500);
  }
  assert.deepEqual(said, ['the database has no room left: said the driver']);
  pass(4000);
  teller.wrote();
  assert.deepEqual(said.slice(1), ['full over after 29500'], 'since when it went well, not since that was certain');
});

test('a failure that comes late and goes on is an outage after all', () => {
  const { teller, said, fails, pass } = tellerAt();
  fails('away');
  teller.answers();
  for (let failed = 0; failed < 8; failed += 1) {
    pass(1000);
    fails('away');
  }
  assert.equal(said.length, 3, said.join('\n'));
});

test('damage is told for each table, and nobody says that it is over', () => {
  const { teller, said, fails, pass } = tellerAt();
  for (const table of ['hosts', 'people', 'hosts']) fails('damaged', table);
  pass(10_000);
  teller.wrote();
  assert.equal(said.length, 2);
});

test('whatever else fails of it is known for that, also by its words from another thread', () => {
  const { teller, fails, pass } = tellerAt();
  const words = new Error('the database does not answer: said the driver');
  assert.equal(teller.isTold(words), false);
  fails('away');
  assert.equal(teller.isTold(words), true);
  assert.equal(teller.isTold(words.message), true);
  assert.equal(teller.isTold(new Error('something else')), false);
  assert.equal(teller.isTold(`Error: ${words.message}\n    at somewhere`), true);
  teller.answers();
  pass(4000);
  assert.equal(teller.isTold(words), true, 'a thread that has not heard yet that it is over');
  pass(2000);
  assert.equal(teller.isTold(words), false);
});
