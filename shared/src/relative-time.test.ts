import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockTime, durationText, relativeTime } from './relative-time.ts';

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

test('how long something took, in two units at most', () => {
  const took = (ms: number) => durationText('en', ms);
  assert.equal(took(0), '0 s');
  assert.equal(took(350), '0.4 s');
  assert.equal(took(3000), '3 s');
  assert.equal(took(9970), '10 s');
  assert.equal(took(59 * SECOND), '59 s');
  assert.equal(took(59.9 * SECOND), '1 min');
  assert.equal(took(125 * SECOND), '2 min 5 s');
  assert.equal(took(HOUR + 3 * 60 * SECOND + 9 * SECOND), '1 h 3 min');
  assert.equal(took(2 * 24 * HOUR + 9 * SECOND), '2 d');
  assert.equal(durationText('de', 350), '0,4 s');
});
