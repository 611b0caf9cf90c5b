import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { endsSoon } from './certificate-life.ts';

const DAY = 86_400_000;

describe('certificates that end soon', () => {
  for (const [life, left, expected] of [
    [365, 31, false],
    [365, 30, true],
    [365, -1, true],
    [3650, 30, true],
    [120, 31, false],
    [40, 30, false],
    [40, 10, true],
    [1, 0.5, false],
    [1, 0.25, true],
  ] as const) {
    it(`of ${life} days with ${left} left: ${expected ? 'warned of' : 'not yet'}`, () =>
      assert.equal(endsSoon({ from: 0, until: life * DAY }, (life - left) * DAY), expected));
  }
});
