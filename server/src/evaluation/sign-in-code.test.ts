import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import { createSignInCode, newSignInCode } from './sign-in-code.ts';

const door = (clock = manualClock()) =>
  createSignInCode({ code: 'K7QX-M2PD', browserKey: 'a key', clock, random: systemRandom });

test('the code opens the door however it is typed', () => {
  for (const typed of ['K7QX-M2PD', 'k7qxm2pd', ' k7qx m2pd ']) {
    const answer = door().enter(typed);
    assert.ok(answer.ok);
    assert.ok(door().recognises(answer.token));
  }
});

test('a browser without the code, or with a made-up token, is not recognised', () => {
  const other = createSignInCode({
    code: 'K7QX-M2PD',
    browserKey: 'another key',
    clock: manualClock(),
    random: systemRandom,
  });
  const foreign = other.enter('K7QX-M2PD');
  assert.ok(foreign.ok);
  const own = door().enter('K7QX-M2PD');
  assert.ok(own.ok);
  const changed = `x${own.token.slice(1)}`;
  for (const token of [undefined, '', '.', 'a.b', 'K7QX-M2PD', foreign.token, changed, `${own.token}.x`]) {
    assert.equal(door().recognises(token), false, token);
  }
});

test('ten wrong codes close the door for ten minutes, also for the right one', () => {
  const clock = manualClock();
  const guess = door(clock);
  for (let i = 0; i < 10; i++) assert.deepEqual(guess.enter(`AAAA-AAA${i}`), { ok: false, problem: 'wrong' });
  assert.deepEqual(guess.enter('K7QX-M2PD'), { ok: false, problem: 'too_many' });
  clock.advance(10 * 60_000);
  assert.ok(guess.enter('K7QX-M2PD').ok);
});

test('an empty code opens nothing', () => {
  for (const typed of ['', '-', ' ']) assert.equal(door().enter(typed).ok, false);
});

test('codes are random, and hold nothing that looks alike', () => {
  const codes = new Set(Array.from({ length: 200 }, () => newSignInCode(systemRandom)));
  assert.equal(codes.size, 200);
  for (const code of codes) assert.match(code, /^[A-HJKMNP-Z2-9]{4}-[A-HJKMNP-Z2-9]{4}$/);
});
