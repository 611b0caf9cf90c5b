import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '../platform/clock.ts';
import { createRateLimits } from './rate-limit.ts';

const refused = (run: () => void) => assert.throws(run, { code: 'rate_limited' });

test('changes are limited per person', () => {
  const limits = createRateLimits({ clock: manualClock() });
  for (let i = 0; i < 30; i++) limits.mutation('alice');
  refused(() => limits.mutation('alice'));
  limits.mutation('bob');
});

test('approval pages are limited per person', () => {
  const limits = createRateLimits({ clock: manualClock() });
  for (let i = 0; i < 30; i++) limits.approvePage('alice');
  refused(() => limits.approvePage('alice'));
  limits.approvePage('bob');
});

test('all addresses of one IPv6 customer count as one', () => {
  const limits = createRateLimits({ clock: manualClock() });
  for (let i = 0; i < 10; i++) limits.login(`2001:db8:1:2::${i}`);
  refused(() => limits.login('2001:db8:1:2:ffff::1'));
  limits.login('2001:db8:1:3::1');
});

test('an address written as IPv4-mapped IPv6 is the same address', () => {
  const limits = createRateLimits({ clock: manualClock() });
  for (let i = 0; i < 10; i++) limits.callback('192.0.2.1');
  refused(() => limits.callback('::ffff:192.0.2.1'));
});

test('the window slides: a refused attempt does not make the wait longer', () => {
  const clock = manualClock();
  const limits = createRateLimits({ clock });
  for (let i = 0; i < 10; i++) {
    limits.desktopToken('192.0.2.1');
    clock.advance(1000);
  }
  refused(() => limits.desktopToken('192.0.2.1'));
  clock.advance(49_999);
  refused(() => limits.desktopToken('192.0.2.1'));
  clock.advance(1);
  limits.desktopToken('192.0.2.1');
  refused(() => limits.desktopToken('192.0.2.1'));
});
