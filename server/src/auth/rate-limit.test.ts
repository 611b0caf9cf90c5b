import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '../platform/clock.ts';
import { createRateLimits } from './rate-limit.ts';

const refused = (run: () => void) => assert.throws(run, { code: 'rate_limited' });

test('changes are limited per person', () => {
  const limits = createRateLimits({ clock: manualClock() });
  for (let i = 0; i < 120; i++) limits.mutation('alice');
  refused(() => limits.mutation('alice'));
  limits.mutation('bob');
});

test('approval pages are limited per person', () => {
  const limits = createRateLimits({ clock: manualClock() });
  for (let i = 0; i < 30; i++) limits.approvePage('alice');
  refused(() => limits.approvePage('alice'));
  limits.approvePage('bob');
});

const nobody = (remoteAddr: string) => ({ personId: null, browser: null, remoteAddr });

test('a flood from one address is limited, and all addresses of one IPv6 customer count as one', () => {
  const limits = createRateLimits({ clock: manualClock() });
  for (let i = 0; i < 600; i++) limits.login(nobody(`2001:db8:1:2::${i}`));
  refused(() => limits.login(nobody('2001:db8:1:2:ffff::1')));
  limits.login(nobody('2001:db8:1:3::1'));
});

test('a browser that begins again and again waits; its neighbours at the same address do not', () => {
  const limits = createRateLimits({ clock: manualClock() });
  const at = (browser: string) => ({ personId: null, browser, remoteAddr: '192.0.2.1' });
  for (let i = 0; i < 10; i++) limits.login(at('one'));
  refused(() => limits.login(at('one')));
  limits.login(at('two'));
});

test('who is signed in is counted as themselves, whatever happens at their address', () => {
  const limits = createRateLimits({ clock: manualClock() });
  for (let i = 0; i < 600; i++) limits.login(nobody('192.0.2.1'));
  const alice = { personId: 'alice', browser: 'b', remoteAddr: '192.0.2.1' };
  for (let i = 0; i < 10; i++) limits.login(alice);
  refused(() => limits.login(alice));
  limits.login({ ...alice, personId: 'bob' });
});

test('an address written as IPv4-mapped IPv6 is the same address', () => {
  const limits = createRateLimits({ clock: manualClock() });
  for (let i = 0; i < 10; i++) limits.strayCallback('192.0.2.1');
  refused(() => limits.strayCallback('::ffff:192.0.2.1'));
});

test('the window slides: a refused attempt does not make the wait longer', () => {
  const clock = manualClock();
  const limits = createRateLimits({ clock });
  for (let i = 0; i < 10; i++) {
    limits.strayCallback('192.0.2.1');
    clock.advance(1000);
  }
  refused(() => limits.strayCallback('192.0.2.1'));
  clock.advance(49_999);
  refused(() => limits.strayCallback('192.0.2.1'));
  clock.advance(1);
  limits.strayCallback('192.0.2.1');
  refused(() => limits.strayCallback('192.0.2.1'));
});
