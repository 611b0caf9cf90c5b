import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leaseOf } from './lease.ts';

test('a lease counts from when the host was heard of, or from when it could be again', () => {
  assert.equal(leaseOf(5000, 100_000, null), 5000, 'the database was always there');
  assert.equal(leaseOf(5000, 100_000, 0), 140_000, 'it has just come back');
  assert.equal(leaseOf(5000, 100_000, 39_000), 101_000);
  assert.ok(leaseOf(5000, 100_000, 40_000) <= 100_000, 'a host that is alive would have asked since');
  assert.equal(leaseOf(120_000, 100_000, 90_000), 120_000);
});
