import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterOf, placeOf } from './delivery-filter.ts';

test('what an address says wrongly is left out', () => {
  assert.deepEqual(filterOf({ channel: 'ops', status: 'dead', seq: '12' }), {
    channel: 'ops',
    status: 'dead',
    seq: 12,
  });
  const nothing = { channel: null, status: null, seq: null };
  assert.deepEqual(filterOf({ channel: 'Ops Room', status: 'toString', seq: '-1' }), nothing);
  assert.deepEqual(filterOf(nothing), nothing);
});

test('a place is one of the list', () => {
  const place = `1764500000000-${'a'.repeat(43)}`;
  assert.equal(placeOf(place), place);
  assert.equal(placeOf('12'), null);
  assert.equal(placeOf(null), null);
});
