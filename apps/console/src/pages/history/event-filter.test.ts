import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressText, exportAddress, filterOf, localText } from './event-filter.ts';

const nothing = { user: null, host: null, type: null, outcome: null, from: null, to: null };

test('what an address says wrongly is left out, and an end is the whole of its minute', () => {
  const wrong = {
    user: '',
    host: null,
    type: 'constructor',
    outcome: 'great',
    from: 'yesterday',
    to: '2026-13-01T00:00Z',
  };
  assert.deepEqual(Object.values(filterOf(wrong)), [null, null, null, null, null, null]);
  const { from, to } = filterOf({ ...nothing, from: '2026-11-29T22:10Z', to: '2026-11-29T22:10Z' });
  assert.equal(to! - from!, 60_000);
});

test('a moment goes from the address into a field, in the time of the person, and back', () => {
  const text = '2026-11-29T22:10Z';
  assert.equal(addressText(localText(text)), text);
  assert.equal(localText('2026'), '');
  assert.equal(addressText(''), null);
});

test('a file is asked for with what is shown, and nothing of it is taken for more', () => {
  const filter = filterOf({ ...nothing, user: 'a&format=json', outcome: 'failure' });
  const query = new URL(exportAddress(filter, 'csv'), 'https://x').searchParams;
  assert.deepEqual(
    [...query],
    [
      ['format', 'csv'],
      ['user', 'a&format=json'],
      ['outcome', 'failure'],
    ],
  );
});
