import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockTime, relativeTime } from './relative-time.ts';

const SECOND = 1000;
const HOUR = 3600 * SECOND;

test('how long ago, in the unit that people would use', () => {
  const ago = (ms: number, locale = 'en') => relativeTime(locale, 1_000_000_000 - ms, 1_000_000_000);
  assert.equal(ago(0), 'now');
  assert.equal(ago(12 * SECOND), '12 seconds ago');
  assert.equal(ago(60 * SECOND), '1 minute ago');
  assert.equal(ago(3 * HOUR), '3 hours ago');
  assert.equal(ago(72 * HOUR), '3 days ago');
  assert.equal(ago(-2 * HOUR), 'in 2 hours');
  assert.equal(ago(12 * SECOND, 'de'), 'vor 12 Sekunden');
});

test('time left never goes below nothing', () => {
  assert.equal(clockTime(107_000), '1:47');
  assert.equal(clockTime(106_001), '1:47');
  assert.equal(clockTime(0), '0:00');
  assert.equal(clockTime(-5000), '0:00');
  assert.equal(clockTime(2 * HOUR + 3 * 60 * SECOND + 9 * SECOND), '2:03:09');
});
