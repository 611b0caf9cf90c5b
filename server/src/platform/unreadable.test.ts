import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUnreadableRows } from './unreadable.ts';

test('a row that cannot be read is logged and counted once, under an id that is the same everywhere', async () => {
  const logged: object[] = [];
  const log = { error: (entry: object) => void logged.push(entry) } as never;
  const rows = createUnreadableRows(log);
  const cause = new Error('not JSON');
  const first = rows.report('challenges', { id: 'a', cause });
  assert.deepEqual(rows.report('challenges', { id: 'a', cause }), first);
  assert.deepEqual(logged, [{ errorId: first.errorId, table: 'challenges', id: 'a', err: cause }]);
  assert.notEqual(rows.report('people', { id: 'a', cause }).errorId, first.errorId);
  assert.deepEqual(createUnreadableRows(log).report('challenges', { id: 'a', cause }), first, 'another server');
  const { values } = await rows.metric.get();
  assert.deepEqual(
    values.flatMap(({ labels, value }) => (value === 0 ? [] : [[labels.table, value]])),
    [
      ['challenges', 1],
      ['people', 1],
    ],
  );
});
