import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gapsOf } from './watcher.ts';

test('an event that somebody who follows missed is found, and one that came twice', () => {
  const kinds = (...seen: number[]) => gapsOf({ seen }).map(({ kind }) => kind);
  assert.deepEqual(kinds(), []);
  assert.deepEqual(kinds(7, 8, 9), []);
  assert.deepEqual(kinds(7, 9, 10), ['lost']);
  assert.deepEqual(kinds(7, 8, 8, 9), ['doubled']);
  assert.deepEqual(kinds(7, 9, 8, 9), ['lost', 'doubled']);
});
